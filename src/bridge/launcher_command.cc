// What the launcher starts: the words and the environment, from the settings and from where this server listens.
#include "launcher.h"

extern "C" {
#include "lib/stringinfo.h"
#include "nodes/pg_list.h"
#include "utils/varlena.h"
}

#include <pwd.h>
#include <unistd.h>

extern "C" char **environ;

namespace maint_launcher {

namespace {

bool is_blank(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }

// Reads one word from **at into `word`, which has room for it. False if a quote is not closed.
bool read_word(const char **at, char *word) {
  const char *from = *at;
  char quote = '\0';
  for (; *from != '\0' && (quote != '\0' || !is_blank(*from)); from++) {
    if (*from == quote) {
      quote = '\0';
    } else if (quote == '\0' && (*from == '\'' || *from == '"')) {
      quote = *from;
    } else if (*from == '\\' && from[1] != '\0' &&
               (quote == '\0' || (quote == '"' && (from[1] == '"' || from[1] == '\\')))) {
      *word++ = *++from;
    } else {
      *word++ = *from;
    }
  }
  *word = '\0';
  *at = from;
  return quote == '\0';
}

// A name as it stands in the path of a URL.
char *percent_encoded(const char *name) {
  StringInfoData url;
  initStringInfo(&url);
  for (const unsigned char *at = reinterpret_cast<const unsigned char *>(name); *at != '\0'; at++) {
    bool plain = (*at >= '0' && *at <= '9') || (*at >= 'A' && *at <= 'Z') || (*at >= 'a' && *at <= 'z') ||
                 *at == '-' || *at == '_' || *at == '.' || *at == '~';
    if (plain) {
      appendStringInfoChar(&url, static_cast<char>(*at));
    } else {
      appendStringInfo(&url, "%%%02X", *at);
    }
  }
  return url.data;
}

// The elements of a list in a setting; null if it is not well formed.
bool split_list(const char *list, List **elements) {
  *elements = NIL;
  return SplitGUCList(pstrdup(list), ',', elements);
}

// Where this server can be reached from this machine: the folder of a Unix socket, or else an address.
char *own_host() {
  List *elements;
  const char *folders = GetConfigOption("unix_socket_directories", true, false);
  if (folders != nullptr && SplitDirectoriesString(pstrdup(folders), ',', &elements)) {
    ListCell *cell;
    foreach (cell, elements) {
      char *folder = static_cast<char *>(lfirst(cell));
      // A name that starts with @ has no file, and only libpq finds it.
      if (is_absolute_path(folder)) return folder;
    }
  }
  const char *addresses = GetConfigOption("listen_addresses", true, false);
  if (addresses == nullptr || !split_list(addresses, &elements) || elements == NIL) return nullptr;
  char *address = static_cast<char *>(linitial(elements));
  if (strcmp(address, "*") == 0 || strcmp(address, "0.0.0.0") == 0) return pstrdup("127.0.0.1");
  if (strcmp(address, "::") == 0) return pstrdup("::1");
  return address;
}

// As libpq does: who starts a server without another word is its first superuser.
const char *own_account() {
  const passwd *account = getpwuid(geteuid());
  return account == nullptr ? nullptr : pstrdup(account->pw_name);
}

// Of the postmaster's own: they would lead the command to another server, or change how it is served there.
const char *const kNotInherited[] = {"DATABASE_URL", "PGHOST",     "PGHOSTADDR", "PGPORT",   "PGUSER",
                                     "PGDATABASE",   "PGPASSWORD", "PGSERVICE",  "PGOPTIONS"};

bool is_inherited(const char *variable) {
  for (const char *name : kNotInherited) {
    size_t length = strlen(name);
    if (strncmp(variable, name, length) == 0 && variable[length] == '=') return false;
  }
  return true;
}

char **make_environment(const char *host, const char *role) {
  constexpr int kMostAdded = 5;
  int count = 0;
  while (environ[count] != nullptr) count++;
  char **environment = static_cast<char **>(palloc((count + kMostAdded + 1) * sizeof(char *)));
  char **next = environment;
  for (int at = 0; at < count; at++) {
    if (is_inherited(environ[at])) *next++ = pstrdup(environ[at]);
  }
  *next++ = psprintf("PGHOST=%s", host);
  *next++ = psprintf("PGPORT=%s", GetConfigOption("port", false, false));
  *next++ = pstrdup("PGDATABASE=postgres");
  if (role != nullptr) *next++ = psprintf("PGUSER=%s", role);
  if (getenv("HOME") == nullptr) {
    const passwd *account = getpwuid(geteuid());
    if (account != nullptr) *next++ = psprintf("HOME=%s", account->pw_dir);
  }
  *next = nullptr;
  return environment;
}

}  // namespace

char **split_command(const char *line, const char **problem) {
  size_t length = strlen(line);
  char **words = static_cast<char **>(palloc((length / 2 + 2) * sizeof(char *)));
  int count = 0;
  for (const char *at = line;;) {
    while (is_blank(*at)) at++;
    if (*at == '\0') break;
    words[count] = static_cast<char *>(palloc(strlen(at) + 1));
    if (!read_word(&at, words[count++])) {
      *problem = "A quote is not closed.";
      return nullptr;
    }
  }
  words[count] = nullptr;
  if (count > 0 && words[0][0] != '\0') return words;
  *problem = "It names no program.";
  return nullptr;
}

char **database_options(const char *list) {
  List *elements;
  if (!split_list(list, &elements)) return nullptr;
  char **options = static_cast<char **>(palloc((2 * list_length(elements) + 1) * sizeof(char *)));
  char **next = options;
  ListCell *cell;
  foreach (cell, elements) {
    const char *element = static_cast<const char *>(lfirst(cell));
    if (strcmp(element, kAllDatabases) == 0) {
      if (list_length(elements) > 1) return nullptr;
      *next++ = pstrdup("--all-databases");
      break;
    }
    *next++ = pstrdup("--database");
    *next++ = strstr(element, "://") != nullptr ? pstrdup(element)
                                                : psprintf("postgresql:///%s", percent_encoded(element));
  }
  *next = nullptr;
  return options;
}

Command *make_command(const Settings &from, const char **problem) {
  char **words = split_command(from.command, problem);
  if (words == nullptr) return nullptr;
  char **options = database_options(from.databases);
  if (options == nullptr) {
    *problem = "The list of databases is not well formed.";
    return nullptr;
  }
  char *host = own_host();
  if (host == nullptr) {
    *problem = "Neither unix_socket_directories nor listen_addresses names a place that the command could connect to.";
    return nullptr;
  }
  int count = 0;
  int added = 0;
  while (words[count] != nullptr) count++;
  while (options[added] != nullptr) added++;
  Command *command = static_cast<Command *>(palloc(sizeof(Command)));
  command->words = static_cast<char **>(repalloc(words, (count + added + 1) * sizeof(char *)));
  memcpy(command->words + count, options, (added + 1) * sizeof(char *));
  command->environment = make_environment(host, from.role[0] != '\0' ? from.role : own_account());
  return command;
}

}  // namespace maint_launcher
