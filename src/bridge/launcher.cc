// The background worker itself: its settings, and the loop that starts, watches, restarts and ends the command.
#include "launcher.h"

extern "C" {
#include "fmgr.h"
#include "pgstat.h"
#include "postmaster/bgworker.h"
#include "postmaster/interrupt.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "utils/pidfile.h"
#if PG_VERSION_NUM >= 180000
#include "storage/waiteventset.h"
#endif

PGDLLEXPORT void maint_launcher_main(Datum);
}

#include <dlfcn.h>
#include <signal.h>
#include <sys/wait.h>
#include <time.h>

namespace maint_launcher {

Settings settings;

namespace {

// A command that ends is started again after this, and after twice as long each time it ends early. The longest wait is
// what an administrator waits at most after mending the cause; a shorter one would fill the log with the same line.
constexpr int kFirstRestartMs = 1000;
constexpr int kLongestRestartMs = 60 * 1000;
// A command that ran this long was in order: the next wait is the first one again.
constexpr int kSteadyMs = 60 * 1000;
// The launcher itself, should it ever fail, in seconds.
constexpr int kOwnRestart = 5;
// How often it looks whether a smart shutdown has begun, which no signal tells a background worker. A worker that stays
// connected would hold that shutdown up forever.
constexpr int kServerLookMs = 2000;
// A line without an end is written after this much silence.
constexpr int kSilenceMs = 1000;
// More than what `pg-maint worker --stop-after` gives its actions, 30 s, and not much more: a server that shuts down
// waits for it.
constexpr int kStopTimeout = 40;

struct Launcher {
  MemoryContext memory;  // of the command that runs or ran last
  Child child;
  char *command_line;  // as it was when the command was started
  char *databases;
  char *role;
  int64 started_ms;
  int64 next_start_ms;
  int delay_ms;
  bool server_stops;
};

int64 now_ms() {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<int64>(now.tv_sec) * 1000 + now.tv_nsec / 1000000;
}

int process_of(const Launcher &launcher) { return static_cast<int>(launcher.child.process); }

void show_activity(const Launcher &launcher) {
  char text[256];
  if (launcher.child.keeper != 0) {
    snprintf(text, sizeof(text), "%s %s (process %d)", launcher.child.stopping ? "stopping" : "running",
             launcher.command_line, process_of(launcher));
    pgstat_report_activity(STATE_RUNNING, text);
  } else {
    pgstat_report_activity(STATE_IDLE, settings.enabled ? "waiting to start the command" : "disabled");
  }
}

void wait_longer(Launcher *launcher) {
  launcher->next_start_ms = now_ms() + launcher->delay_ms;
  launcher->delay_ms = Min(launcher->delay_ms * 2, kLongestRestartMs);
}

void start(Launcher *launcher) {
  MemoryContextReset(launcher->memory);
  MemoryContext before = MemoryContextSwitchTo(launcher->memory);
  launcher->command_line = pstrdup(settings.command);
  launcher->databases = pstrdup(settings.databases);
  launcher->role = pstrdup(settings.role);
  const char *problem = nullptr;
  const Command *command = make_command(settings, &problem);
  MemoryContextSwitchTo(before);
  launcher->started_ms = now_ms();
  int seconds = launcher->delay_ms / 1000;
  if (command == nullptr) {
    ereport(LOG, (errmsg("maint launcher: can't start \"%s\"", launcher->command_line), errdetail("%s", problem),
                  errhint("It is tried again in %d s.", seconds)));
    wait_longer(launcher);
  } else if (!start_child(*command, settings.stop_timeout, &launcher->child)) {
    launcher->child.keeper = 0;
    ereport(LOG, (errmsg("maint launcher: can't start a process: %m"), errhint("It is tried again in %d s.", seconds)));
    wait_longer(launcher);
  }
  show_activity(*launcher);
}

void report_not_started(const Launcher &launcher, int seconds) {
  const int error = launcher.child.exec_error;
  const char *path = getenv("PATH");
  errno = error;
  ereport(LOG, (errmsg("maint launcher: could not start \"%s\": %m", launcher.command_line),
                errdetail("It is tried again in %d s.", seconds),
                error == ENOENT ? errhint("Programs are looked for in the PATH of the server, which is \"%s\"; "
                                          "maint_launcher.command can name one by its full path.",
                                          path == nullptr ? "" : path)
                                : 0));
}

void report_end(const Launcher &launcher, int64 ran_ms, int seconds) {
  const Child &child = launcher.child;
  char how[64];
  if (!child.exited) {
    strlcpy(how, "was lost", sizeof(how));
  } else if (WIFEXITED(child.status)) {
    snprintf(how, sizeof(how), "ended with exit code %d", WEXITSTATUS(child.status));
  } else {
    snprintf(how, sizeof(how), "was ended by signal %d: %s", WTERMSIG(child.status), pg_strsignal(WTERMSIG(child.status)));
  }
  ereport(LOG, (errmsg("maint launcher: \"%s\" (process %d) %s", launcher.command_line, process_of(launcher), how),
                errdetail("It had run for %d s. It is started again in %d s.", static_cast<int>(ran_ms / 1000), seconds)));
}

// The command and all that it had started are gone.
void after_end(Launcher *launcher) {
  Child &child = launcher->child;
  if (child.output >= 0) log_output(&child);
  end_output(&child);
  int64 ran_ms = now_ms() - launcher->started_ms;
  if (child.killed) {
    ereport(LOG, (errmsg("maint launcher: \"%s\" (process %d) had not stopped in time and was killed",
                         launcher->command_line, process_of(*launcher))));
  }
  if (child.stopping) {
    ereport(LOG, (errmsg("maint launcher: stopped \"%s\" (process %d)", launcher->command_line, process_of(*launcher))));
    launcher->delay_ms = kFirstRestartMs;
    launcher->next_start_ms = now_ms();
  } else {
    if (ran_ms >= kSteadyMs) launcher->delay_ms = kFirstRestartMs;
    int seconds = launcher->delay_ms / 1000;
    if (child.exec_error != 0) {
      report_not_started(*launcher, seconds);
    } else {
      report_end(*launcher, ran_ms, seconds);
    }
    wait_longer(launcher);
  }
  show_activity(*launcher);
}

void take_reports(Launcher *launcher) {
  bool known = launcher->child.process != 0;
  bool there = read_reports(&launcher->child);
  if (!known && launcher->child.process != 0 && launcher->child.exec_error == 0) {
    ereport(LOG, (errmsg("maint launcher: started \"%s\" (process %d)", launcher->command_line, process_of(*launcher))));
  }
  if (there) {
    show_activity(*launcher);
  } else {
    after_end(launcher);
  }
}

void stop(Launcher *launcher) {
  stop_child(&launcher->child, settings.stop_timeout);
  show_activity(*launcher);
}

bool settings_differ(const Launcher &launcher) {
  return strcmp(launcher.command_line, settings.command) != 0 || strcmp(launcher.databases, settings.databases) != 0 ||
         strcmp(launcher.role, settings.role) != 0;
}

void reload(Launcher *launcher) {
  ProcessConfigFile(PGC_SIGHUP);
  bool runs = launcher->child.keeper != 0;
  if (runs && (!settings.enabled || settings_differ(*launcher))) stop(launcher);
  if (!runs) {
    // What was wrong may have been mended.
    launcher->delay_ms = kFirstRestartMs;
    launcher->next_start_ms = now_ms();
    show_activity(*launcher);
  }
}

// Whether the postmaster has begun to shut down, by the file in which it tells pg_ctl.
bool server_stops() {
  FILE *file = fopen("postmaster.pid", "r");
  if (file == nullptr) return false;
  char text[MAXPGPATH];
  bool stops = false;
  for (int number = 1; fgets(text, sizeof(text), file) != nullptr; number++) {
    if (number == LOCK_FILE_LINE_PM_STATUS) stops = strncmp(text, PM_STATUS_STOPPING, strlen(PM_STATUS_STOPPING)) == 0;
  }
  fclose(file);
  return stops;
}

int64 wait_ms(const Launcher &launcher) {
  if (launcher.child.keeper != 0) return output_is_partial() ? Min(kSilenceMs, kServerLookMs) : kServerLookMs;
  if (!settings.enabled || launcher.server_stops) return -1;
  return Max(launcher.next_start_ms - now_ms(), 0);
}

void add_file(WaitEventSet *events, int file) {
  AddWaitEventToSet(events, WL_SOCKET_READABLE, file, nullptr, nullptr);
}

// Waits until there is something to do. True if that is something of the command.
bool wait_for_something(const Launcher &launcher) {
  constexpr int kMost = 4;
#if PG_VERSION_NUM >= 170000
  WaitEventSet *events = CreateWaitEventSet(nullptr, kMost);
#else
  WaitEventSet *events = CreateWaitEventSet(CurrentMemoryContext, kMost);
#endif
  AddWaitEventToSet(events, WL_LATCH_SET, PGINVALID_SOCKET, MyLatch, nullptr);
  AddWaitEventToSet(events, WL_EXIT_ON_PM_DEATH, PGINVALID_SOCKET, nullptr, nullptr);
  if (launcher.child.keeper != 0) {
    add_file(events, launcher.child.report);
    if (launcher.child.output >= 0) add_file(events, launcher.child.output);
  }
  WaitEvent occurred[kMost];
  int count = WaitEventSetWait(events, wait_ms(launcher), occurred, kMost, PG_WAIT_EXTENSION);
  FreeWaitEventSet(events);
  bool of_command = false;
  for (int at = 0; at < count; at++) of_command = of_command || (occurred[at].events & WL_SOCKET_READABLE) != 0;
  ResetLatch(MyLatch);
  return of_command;
}

[[noreturn]] void run(Launcher *launcher) {
  int64 next_look_ms = 0;
  for (;;) {
    CHECK_FOR_INTERRUPTS();
    if (ConfigReloadPending) {
      ConfigReloadPending = false;
      reload(launcher);
    }
    bool runs = launcher->child.keeper != 0;
    if (runs && now_ms() >= next_look_ms) {
      next_look_ms = now_ms() + kServerLookMs;
      launcher->server_stops = server_stops();
    }
    if (ShutdownRequestPending || launcher->server_stops) {
      if (runs) stop(launcher);
      // The status says: to be started again, should this not be the server's end.
      if (!runs && ShutdownRequestPending) proc_exit(1);
    } else if (!runs && settings.enabled && now_ms() >= launcher->next_start_ms) {
      start(launcher);
    }
    bool of_command = wait_for_something(*launcher);
    if (launcher->child.keeper == 0) continue;
    if (of_command) {
      if (launcher->child.output >= 0) log_output(&launcher->child);
      take_reports(launcher);
    } else if (output_is_partial()) {
      flush_line(launcher->child);
    }
  }
}

bool check_command(char **value, void **, GucSource) {
  const char *problem = nullptr;
  if (split_command(*value, &problem) != nullptr) return true;
  GUC_check_errdetail("%s", problem);
  return false;
}

bool check_databases(char **value, void **, GucSource) {
  if (database_options(*value) != nullptr) return true;
  GUC_check_errdetail("Expected names of databases or URLs, with commas between them, or * alone for all.");
  return false;
}

void define_settings() {
  DefineCustomBoolVariable("maint_launcher.enabled", "Runs maint_launcher.command for as long as the server runs.",
                           nullptr, &settings.enabled, true, PGC_SIGHUP, 0, nullptr, nullptr, nullptr);
  DefineCustomStringVariable("maint_launcher.command", "The command to run.",
                             "A program and its arguments, separated by blanks, with quotes where an argument holds "
                             "blanks. No shell reads it.",
                             const_cast<char **>(&settings.command), "pg-maint worker", PGC_SIGHUP, GUC_SUPERUSER_ONLY,
                             check_command, nullptr, nullptr);
  DefineCustomStringVariable("maint_launcher.databases", "The databases that the command works for.",
                             "Names of databases of this server, or URLs; each is given to the command as --database. * is all "
                             "that have pg-maint, and given as --all-databases.",
                             const_cast<char **>(&settings.databases), kAllDatabases, PGC_SIGHUP,
                             GUC_SUPERUSER_ONLY | GUC_LIST_INPUT, check_databases, nullptr, nullptr);
  DefineCustomStringVariable("maint_launcher.role", "The role that the command connects as.",
                             "Where it is empty, the one named like the account that the server runs under.",
                             const_cast<char **>(&settings.role), "", PGC_SIGHUP, 0, nullptr, nullptr, nullptr);
  DefineCustomIntVariable("maint_launcher.stop_timeout",
                          "How long the command may take to stop after SIGTERM before it is killed.",
                          "Longer than what pg-maint worker --stop-after says.", &settings.stop_timeout, kStopTimeout, 0,
                          3600, PGC_SIGHUP, GUC_UNIT_S, nullptr, nullptr, nullptr);
#if PG_VERSION_NUM >= 150000
  MarkGUCPrefixReserved("maint_launcher");
#else
  EmitWarningsOnPlaceholders("maint_launcher");
#endif
}

// The path of this library, under which the background worker's process looks for its entry point.
bool own_library(char *path, size_t size) {
  Dl_info info;
  if (dladdr(reinterpret_cast<void *>(&maint_launcher_main), &info) == 0 || info.dli_fname == nullptr) return false;
  return strlcpy(path, info.dli_fname, size) < size;
}

}  // namespace

void register_launcher() {
  if (!process_shared_preload_libraries_in_progress || IsBinaryUpgrade) return;
  // Both libraries that carry the launcher may be preloaded: the first one has it.
  void **taken = find_rendezvous_variable("maint_launcher");
  if (*taken != nullptr) return;
  *taken = &settings;
  define_settings();
  BackgroundWorker worker = {};
  worker.bgw_flags = BGWORKER_SHMEM_ACCESS | BGWORKER_BACKEND_DATABASE_CONNECTION;
  // Never on a standby; after its promotion, at once.
  worker.bgw_start_time = BgWorkerStart_RecoveryFinished;
  worker.bgw_restart_time = kOwnRestart;
  strlcpy(worker.bgw_name, "maint launcher", sizeof(worker.bgw_name));
  strlcpy(worker.bgw_type, "maint launcher", sizeof(worker.bgw_type));
  strlcpy(worker.bgw_function_name, "maint_launcher_main", sizeof(worker.bgw_function_name));
  if (!own_library(worker.bgw_library_name, sizeof(worker.bgw_library_name))) {
    ereport(WARNING, (errmsg("maint launcher: not started, since the path of its library is longer than %d bytes",
                             static_cast<int>(sizeof(worker.bgw_library_name)) - 1)));
    return;
  }
  RegisterBackgroundWorker(&worker);
}

}  // namespace maint_launcher

void maint_launcher_main(Datum) {
  using maint_launcher::Launcher;
  pqsignal(SIGHUP, SignalHandlerForConfigReload);
  pqsignal(SIGTERM, SignalHandlerForShutdownRequest);
  // There is no query to cancel.
  pqsignal(SIGINT, SIG_IGN);
  BackgroundWorkerUnblockSignals();
  // To no database, but as a process that pg_stat_activity shows.
  BackgroundWorkerInitializeConnection(nullptr, nullptr, 0);
  static Launcher launcher;
  launcher.memory = AllocSetContextCreate(TopMemoryContext, "maint launcher", ALLOCSET_SMALL_SIZES);
  launcher.child.output = -1;
  launcher.delay_ms = maint_launcher::kFirstRestartMs;
  maint_launcher::show_activity(launcher);
  maint_launcher::run(&launcher);
}
