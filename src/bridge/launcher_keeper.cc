// The keeper: the process between the launcher and the command. It is no process of the server any more: it has let go
// of shared memory and of every file, so it keeps no server from starting, and a signal to the launcher's process group
// does not reach it. It runs until the command and all its descendants are gone.
#include "launcher.h"

extern "C" {
#include "storage/pg_shmem.h"
#include "utils/ps_status.h"
}

#include <initializer_list>

#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/select.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#ifdef __linux__
#include <sys/prctl.h>
#endif

extern "C" char **environ;

namespace maint_launcher {

namespace {

// After SIGKILL only what hangs in the kernel is left; the keeper looks again for what was started meanwhile.
constexpr int kKillAgainMs = 100;
constexpr int kGiveUpMs = 10 * 1000;
// Where the kernel can't close files by range.
constexpr long kMostFiles = 65536;

// From -1000 to 1000; a process of the server has 0 or less.
const char *const kOomScore = "500";

// Numbers of the keeper's files, next to one another so that all above can be closed.
constexpr int kLifeline = 3;
constexpr int kReport = 4;
constexpr int kOutputRead = 5;
constexpr int kOutputWrite = 6;

volatile sig_atomic_t told_to_stop = 0;

void on_stop(int) { told_to_stop = 1; }
void on_child(int) {}

int64 now_ms() {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<int64>(now.tv_sec) * 1000 + now.tv_nsec / 1000000;
}

void close_from(int first) {
#ifdef SYS_close_range
  if (syscall(SYS_close_range, first, ~0U, 0) == 0) return;
#endif
  long most = sysconf(_SC_OPEN_MAX);
  if (most < 0 || most > kMostFiles) most = kMostFiles;
  for (int fd = first; fd < most; fd++) close(fd);
}

// Moves the four files to their numbers, puts nothing into the first three, and closes all others.
bool take_files(const KeeperEnds &ends) {
  const int given[] = {ends.lifeline, ends.report, ends.output_read, ends.output_write};
  int moved[lengthof(given)];
  for (size_t at = 0; at < lengthof(given); at++) {
    moved[at] = fcntl(given[at], F_DUPFD, kOutputWrite + 1);
    if (moved[at] < 0) return false;
  }
  for (size_t at = 0; at < lengthof(given); at++) {
    int fd = kLifeline + static_cast<int>(at);
    if (dup2(moved[at], fd) < 0 || fcntl(fd, F_SETFD, FD_CLOEXEC) < 0) return false;
  }
  close_from(kOutputWrite + 1);
  int nothing = open("/dev/null", O_RDWR);
  if (nothing < 0) return false;
  for (int fd = 0; fd < 3; fd++) {
    if (dup2(nothing, fd) < 0) return false;
  }
  close(nothing);
  return true;
}

void tell(Report::Kind kind, int value) {
  Report report = {kind, value};
  ssize_t written;
  do {
    written = write(kReport, &report, sizeof(report));
  } while (written < 0 && errno == EINTR);
}

void handle(int signal_number, void (*handler)(int)) {
  struct sigaction action = {};
  action.sa_handler = handler;
  sigaction(signal_number, &action, nullptr);
}

// Where memory runs out, the kernel should end the command rather than a process of the server, which then restarts.
void offer_to_oom_killer() {
  int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
  if (fd < 0) return;
  if (write(fd, kOomScore, strlen(kOomScore)) < 0) errno = 0;
  close(fd);
}

// In the new process: as if started from a terminal's shell, but in a process group of its own and in no folder.
[[noreturn]] void become(const Command &command, pid_t keeper) {
  setpgid(0, 0);
  for (int number = 1; number < NSIG; number++) handle(number, SIG_DFL);
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
#ifdef __linux__
  // The launcher ends the command's whole group when its keeper is killed; this holds even if it is killed with it.
  prctl(PR_SET_PDEATHSIG, SIGKILL);
#endif
  if (getppid() != keeper) _exit(127);
  offer_to_oom_killer();
  if (dup2(kOutputWrite, 1) >= 0 && dup2(kOutputWrite, 2) >= 0 && chdir("/") == 0) {
    environ = command.environment;
    execvp(command.words[0], command.words);
  }
  tell(Report::kNotStarted, errno);
  _exit(127);
}

#ifdef __linux__
// The parent of a process, or 0: the fourth word of its stat, after a name that may hold anything but ends with the last
// parenthesis.
pid_t parent_of(const char *process) {
  char path[64];
  char text[512];
  snprintf(path, sizeof(path), "/proc/%s/stat", process);
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return 0;
  ssize_t length = read(fd, text, sizeof(text) - 1);
  close(fd);
  if (length <= 0) return 0;
  text[length] = '\0';
  const char *name_end = strrchr(text, ')');
  int parent = 0;
  if (name_end == nullptr || sscanf(name_end + 1, " %*c %d", &parent) != 1) return 0;
  return parent;
}

// Descendants that left the process group have become children of the keeper, or will when their parent is gone.
void kill_own_children() {
  DIR *processes = opendir("/proc");
  if (processes == nullptr) return;
  while (const dirent *entry = readdir(processes)) {
    if (entry->d_name[0] < '1' || entry->d_name[0] > '9') continue;
    if (parent_of(entry->d_name) == getpid()) kill(atoi(entry->d_name), SIGKILL);
  }
  closedir(processes);
}
#else
void kill_own_children() {}
#endif

class Keeper {
 public:
  Keeper(pid_t child, int stop_seconds) : child_(child), stop_seconds_(stop_seconds) {}

  [[noreturn]] void run() {
    for (;;) {
      reap();
      if (told_to_stop) begin_stop();
      if (deadline_ms_ != 0 && now_ms() >= deadline_ms_) kill_all();
      wait();
    }
  }

 private:
  void reap() {
    pid_t ended;
    int status;
    while ((ended = waitpid(-1, &status, WNOHANG)) > 0) {
      if (ended != child_) continue;
      tell(Report::kExited, status);
      begin_stop();
    }
    if (ended < 0 && errno == ECHILD && kill(-child_, 0) < 0 && errno == ESRCH) _exit(0);
  }

  void begin_stop() {
    if (deadline_ms_ != 0) return;
    deadline_ms_ = now_ms() + static_cast<int64>(stop_seconds_) * 1000;
    kill(-child_, SIGTERM);
  }

  void kill_all() {
    int64 now = now_ms();
    if (killed_ms_ == 0) {
      killed_ms_ = now;
      tell(Report::kKilled, 0);
    }
    if (now - killed_ms_ > kGiveUpMs) _exit(1);
    kill(-child_, SIGKILL);
    kill_own_children();
    deadline_ms_ = now + kKillAgainMs;
  }

  void wait() {
    fd_set readable;
    FD_ZERO(&readable);
    if (!abandoned_) FD_SET(kLifeline, &readable);
    if (abandoned_ && !silent_) FD_SET(kOutputRead, &readable);
    timespec timeout = {};
    if (deadline_ms_ != 0) {
      int64 left = deadline_ms_ - now_ms();
      if (left < 0) left = 0;
      timeout = {static_cast<time_t>(left / 1000), static_cast<long>(left % 1000) * 1000000};
    }
    sigset_t none;
    sigemptyset(&none);
    int count = pselect(kOutputWrite + 1, &readable, nullptr, nullptr, deadline_ms_ == 0 ? nullptr : &timeout, &none);
    if (count <= 0) return;
    if (FD_ISSET(kLifeline, &readable)) read_lifeline();
    if (FD_ISSET(kOutputRead, &readable)) drain();
  }

  void read_lifeline() {
    int seconds = 0;
    ssize_t length = read(kLifeline, &seconds, sizeof(seconds));
    if (length < 0) return;
    if (length == sizeof(seconds)) {
      stop_seconds_ = seconds;
    } else {
      abandoned_ = true;
    }
    begin_stop();
  }

  // Nobody else reads any more what the command writes, and it may not be held up while it ends.
  void drain() {
    char dropped[8192];
    ssize_t length = read(kOutputRead, dropped, sizeof(dropped));
    silent_ = length == 0 || (length < 0 && errno != EINTR && errno != EAGAIN);
  }

  pid_t child_;
  int stop_seconds_;
  int64 deadline_ms_ = 0;  // 0: it is not to stop
  int64 killed_ms_ = 0;
  bool abandoned_ = false;  // the launcher is gone
  bool silent_ = false;
};

}  // namespace

[[noreturn]] void keep(const Command &command, int stop_seconds, const KeeperEnds &ends) {
  setsid();
  for (int number = 1; number < NSIG; number++) handle(number, SIG_DFL);
  for (int number : {SIGHUP, SIGPIPE, SIGALRM, SIGUSR1, SIGUSR2}) handle(number, SIG_IGN);
  for (int number : {SIGTERM, SIGINT, SIGQUIT}) handle(number, on_stop);
  handle(SIGCHLD, on_child);
  PGSharedMemoryDetach();
  if (!take_files(ends)) _exit(1);
#ifdef __linux__
  prctl(PR_SET_CHILD_SUBREAPER, 1);
#endif
  pid_t own = getpid();
  pid_t child = fork();
  if (child == 0) become(command, own);
  if (child < 0) {
    tell(Report::kNotStarted, errno);
    _exit(1);
  }
  setpgid(child, child);
  close(kOutputWrite);
  set_ps_display("keeper");
  tell(Report::kStarted, child);
  Keeper(child, stop_seconds).run();
}

}  // namespace maint_launcher
