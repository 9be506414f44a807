// The background worker "maint launcher": runs a command, `pg-maint worker`, for as long as the server runs. Nothing
// here knows V8. It calls into the server, whose errors jump: no object with a destructor lives in any of its frames.
#pragma once

extern "C" {
#include "postgres.h"

#include "miscadmin.h"
#include "utils/guc.h"
#include "utils/memutils.h"
}

#include <sys/types.h>

namespace maint_launcher {

// Called by _PG_init of the library that carries this. Where the server is starting: defines the settings maint_launcher.*
// and registers the background worker; nothing otherwise.
void register_launcher();

// The settings, as they hold now.
struct Settings {
  bool enabled;
  const char *command;
  const char *databases;
  const char *role;
  int stop_timeout;  // seconds
};
extern Settings settings;

// A program with its arguments and environment, both ended by a null pointer, in one memory context.
struct Command {
  char **words;
  char **environment;
};

// The words of a command line, separated by blanks. Single quotes keep everything, double quotes and a backslash what the
// shell's would; nothing is expanded. Ended by a null pointer, in the current memory context; null, and *problem set, if
// a quote is not closed or there is no word.
char **split_command(const char *line, const char **problem);

// What maint_launcher.databases adds to the words of the command: --database with a URL for each, where a bare name becomes
// the URL of that database of this server; --all-databases for kAllDatabases, which stands alone. Null if the list is not
// well formed.
constexpr const char *kAllDatabases = "*";
char **database_options(const char *list);

// The command of the settings. Null, and *problem set, if this server has no address to connect to.
Command *make_command(const Settings &from, const char **problem);

// A command that runs, seen from the launcher. Between the two stands the keeper, a process whose only work is to end
// the command with all its descendants, when told to or when the launcher is gone for whatever reason.
struct Child {
  pid_t keeper;  // 0: there is none
  pid_t process;  // of the command; 0 until the keeper has told
  int lifeline;  // the keeper ends all when this is closed
  int report;    // what the keeper tells
  int output;    // what the command writes; -1 once nobody can write any more
  bool stopping;
  bool killed;    // it did not end in time
  int exec_error;  // the errno for which it could not be started, or 0
  bool exited;
  int status;  // as of waitpid, once it exited
};

// Starts a command with its keeper. False, and errno set, if that is not possible.
bool start_child(const Command &command, int stop_seconds, Child *child);
// Has the keeper end the command and all that it started: SIGTERM now, SIGKILL after so many seconds.
void stop_child(Child *child, int seconds);
// Takes in what the keeper has told. False once the keeper, and with it all it kept, is gone: *child is empty then but
// for `output`, `process` and how the command ended.
bool read_reports(Child *child);

// In the keeper: never returns.
struct KeeperEnds {
  int lifeline;
  int report;
  int output_read;
  int output_write;
};
[[noreturn]] void keep(const Command &command, int stop_seconds, const KeeperEnds &ends);

// Writes what the command has written to the server's log, line by line. False when there is nothing more to come.
bool log_output(Child *child);
// Whether a line has begun and not ended; flush_line writes it as it is.
bool output_is_partial();
void flush_line(const Child &child);
// Nothing more is to come from this command.
void end_output(Child *child);

// What the keeper tells the launcher, one message a write.
struct Report {
  enum Kind : int { kStarted, kNotStarted, kExited, kKilled } kind;
  int value;  // process, errno, status
};

}  // namespace maint_launcher
