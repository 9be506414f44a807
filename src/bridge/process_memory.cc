#include "process_memory.h"

#include "engine.h"
#include "guard.h"

#include <cstdio>
#include <fcntl.h>
#include <unistd.h>

namespace maint_v8 {

namespace {

int64 last = -1;   // bytes at the last look; -1: there is none to compare with
int64 taken = 0;   // bytes by which the process grew while V8's code ran
int64 doubted = 0; // of these, as many as there were at the last collection that was asked for
// A collection of all garbage takes long: none for less than this.
constexpr int64 kWorthCollecting = kMemoryMargin / 8;
std::atomic<bool> restart{false};

// Bytes of the process that are neither shared nor a file's; -1 where the system does not say.
int64 private_bytes() {
  static const int file = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
  static const int64 page = sysconf(_SC_PAGESIZE);
  char text[128];
  ssize_t length = file < 0 ? -1 : pread(file, text, sizeof(text) - 1, 0);
  if (length <= 0) return -1;
  text[length] = '\0';
  long long resident;
  long long shared;
  if (sscanf(text, "%*s %lld %lld", &resident, &shared) != 2) return -1;
  return (resident - shared) * page;
}

}  // namespace

MemoryUse look_at_memory() {
  if (restart.exchange(false)) {
    last = -1;
    taken = 0;
    doubted = 0;
  }
  int64 now = private_bytes();
  if (now < 0) return MemoryUse::kFits;
  // The rows of a statement are the server's memory, not JavaScript's.
  if (last >= 0 && !in_server()) taken = std::max(int64{0}, taken + now - last);
  last = now;
  doubted = std::min(doubted, taken);
  const int64 limit = static_cast<int64>(engine().memory_limit);
  if (taken > limit + static_cast<int64>(kMemoryMargin)) return MemoryUse::kTooMuch;
  if (taken - std::max(doubted, limit) < kWorthCollecting) return MemoryUse::kFits;
  doubted = taken;
  return MemoryUse::kInDoubt;
}

void pause_memory_watch() { last = -1; }

void restart_memory_watch() { restart = true; }

}  // namespace maint_v8
