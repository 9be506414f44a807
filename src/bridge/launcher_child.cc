// The command as the launcher sees it: start, stop, what its keeper tells, what it writes.
#include "launcher.h"

extern "C" {
#include "mb/pg_wchar.h"
#include "portability/instr_time.h"
}

#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

namespace maint_launcher {

namespace {

// A longer line is cut: the log is for people.
constexpr int kLongestLine = 2000;
// A command that writes without end must not fill the disk of the log. What goes beyond is counted.
constexpr int kMostLines = 500;
constexpr int kWindowSeconds = 10;
// Read at a time, so that a command that never stops writing does not keep the launcher from its other work.
constexpr int kMostReads = 16;

// The line that has begun.
char line[kLongestLine];
int line_length = 0;
int64 line_cut = 0;  // bytes of it beyond kLongestLine

instr_time window_began;
int window_lines = 0;
int64 window_dropped = 0;

bool close_on_exec_pipe(int ends[2]) {
  if (pipe(ends) < 0) return false;
  fcntl(ends[0], F_SETFD, FD_CLOEXEC);
  fcntl(ends[1], F_SETFD, FD_CLOEXEC);
  return true;
}

void close_file(int *fd) {
  if (*fd >= 0) close(*fd);
  *fd = -1;
}

// What a log can't show is shown as a question mark: control characters, and what is no UTF-8.
void make_printable(char *text, int length) {
  for (int at = 0; at < length;) {
    const unsigned char *here = reinterpret_cast<const unsigned char *>(text) + at;
    int size = pg_utf_mblen(here);
    bool legal = at + size <= length && pg_utf8_islegal(here, size);
    if (!legal || (*here < ' ' && *here != '\t') || *here == 0x7f) {
      text[at++] = '?';
    } else {
      at += size;
    }
  }
}

void end_window(pid_t process) {
  if (window_dropped > 0) {
    ereport(LOG, (errmsg_internal("maint launcher [%d]: " INT64_FORMAT " more lines left out", static_cast<int>(process),
                                  window_dropped)));
  }
  window_lines = 0;
  window_dropped = 0;
}

void log_line(pid_t process) {
  instr_time now;
  INSTR_TIME_SET_CURRENT(now);
  if (window_lines > 0) {
    instr_time passed = now;
    INSTR_TIME_SUBTRACT(passed, window_began);
    if (INSTR_TIME_GET_DOUBLE(passed) >= kWindowSeconds) end_window(process);
  }
  if (window_lines == 0) window_began = now;
  window_lines++;
  if (window_lines > kMostLines) {
    window_dropped++;
  } else {
    // A line of a terminal's program may end with a carriage return.
    if (line_cut == 0 && line_length > 0 && line[line_length - 1] == '\r') line_length--;
    make_printable(line, line_length);
    if (line_cut > 0) {
      ereport(LOG, (errmsg_internal("maint launcher [%d]: %.*s ... (" INT64_FORMAT " bytes more)",
                                    static_cast<int>(process), line_length, line, line_cut)));
    } else if (line_length > 0) {
      ereport(LOG, (errmsg_internal("maint launcher [%d]: %.*s", static_cast<int>(process), line_length, line)));
    }
  }
  line_length = 0;
  line_cut = 0;
}

void take(pid_t process, const char *bytes, ssize_t length) {
  for (ssize_t at = 0; at < length; at++) {
    if (bytes[at] == '\n') {
      log_line(process);
    } else if (line_length < kLongestLine) {
      line[line_length++] = bytes[at];
    } else {
      line_cut++;
    }
  }
}

}  // namespace

bool start_child(const Command &command, int stop_seconds, Child *child) {
  int lifeline[2] = {-1, -1};
  int report[2] = {-1, -1};
  int output[2] = {-1, -1};
  pid_t keeper = -1;
  if (close_on_exec_pipe(lifeline) && close_on_exec_pipe(report) && close_on_exec_pipe(output)) {
    fflush(nullptr);
    // No handler of the launcher may run in the keeper: they would touch what belongs to the launcher.
    sigset_t all;
    sigset_t before;
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, &before);
    keeper = fork();
    if (keeper == 0) keep(command, stop_seconds, {lifeline[0], report[1], output[0], output[1]});
    int error = errno;
    sigprocmask(SIG_SETMASK, &before, nullptr);
    errno = error;
  }
  int error = errno;
  close_file(&lifeline[0]);
  close_file(&report[1]);
  close_file(&output[1]);
  if (keeper < 0) {
    close_file(&lifeline[1]);
    close_file(&report[0]);
    close_file(&output[0]);
    errno = error;
    return false;
  }
  fcntl(report[0], F_SETFL, O_NONBLOCK);
  fcntl(output[0], F_SETFL, O_NONBLOCK);
  *child = {};
  child->keeper = keeper;
  child->lifeline = lifeline[1];
  child->report = report[0];
  child->output = output[0];
  return true;
}

void stop_child(Child *child, int seconds) {
  if (child->keeper == 0 || child->stopping) return;
  child->stopping = true;
  // Where this fails the keeper is gone, which read_reports finds out.
  if (write(child->lifeline, &seconds, sizeof(seconds)) < 0) return;
}

bool read_reports(Child *child) {
  for (;;) {
    Report report;
    ssize_t length = read(child->report, &report, sizeof(report));
    if (length < 0 && errno == EINTR) continue;
    if (length < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) return true;
    if (length != static_cast<ssize_t>(sizeof(report))) break;
    switch (report.kind) {
      case Report::kStarted:
        child->process = report.value;
        break;
      case Report::kNotStarted:
        child->exec_error = report.value;
        break;
      case Report::kExited:
        child->exited = true;
        child->status = report.value;
        break;
      case Report::kKilled:
        child->killed = true;
        break;
    }
  }
  // Nobody but the keeper could write there.
  int status = 0;
  while (waitpid(child->keeper, &status, 0) < 0 && errno == EINTR) {
  }
  // Where it was killed, what it kept is still there.
  if (WIFSIGNALED(status) && child->process != 0) kill(-child->process, SIGKILL);
  child->keeper = 0;
  close_file(&child->lifeline);
  close_file(&child->report);
  return false;
}

bool log_output(Child *child) {
  char bytes[4096];
  for (int count = 0; count < kMostReads; count++) {
    ssize_t length = read(child->output, bytes, sizeof(bytes));
    if (length < 0 && errno == EINTR) continue;
    if (length < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) return true;
    if (length <= 0) {
      close_file(&child->output);
      return false;
    }
    take(child->process, bytes, length);
  }
  return true;
}

bool output_is_partial() { return line_length > 0; }

void flush_line(const Child &child) {
  if (output_is_partial()) log_line(child.process);
}

void end_output(Child *child) {
  flush_line(*child);
  end_window(child->process);
  close_file(&child->output);
}

}  // namespace maint_launcher
