#include "kill.h"

#include "engine.h"
#include "guard.h"

#include <link.h>
#include <pthread.h>
#include <signal.h>
#include <ucontext.h>

namespace maint_v8 {

namespace {

struct Segment {
  uintptr_t from;
  uintptr_t to;
};

pthread_t main_thread;
volatile KillReason requested = KillReason::kNone;
// V8's own library, and all that is loaded.
std::vector<Segment> *v8_segments = nullptr;
std::vector<Segment> *all_segments = nullptr;

bool contains(const std::vector<Segment> &segments, uintptr_t address) {
  for (const Segment &segment : segments) {
    if (address >= segment.from && address < segment.to) return true;
  }
  return false;
}

int note_object(dl_phdr_info *info, size_t, void *) {
  std::vector<Segment> segments;
  for (int at = 0; at < info->dlpi_phnum; at++) {
    const auto &header = info->dlpi_phdr[at];
    if (header.p_type != PT_LOAD) continue;
    segments.push_back({info->dlpi_addr + header.p_vaddr, info->dlpi_addr + header.p_vaddr + header.p_memsz});
  }
  if (contains(segments, reinterpret_cast<uintptr_t>(&v8::V8::GetVersion))) *v8_segments = segments;
  all_segments->insert(all_segments->end(), segments.begin(), segments.end());
  return 0;
}

uintptr_t interrupted_at(void *context) {
  [[maybe_unused]] auto *machine = &static_cast<ucontext_t *>(context)->uc_mcontext;
#if defined(__x86_64__)
  return static_cast<uintptr_t>(machine->gregs[REG_RIP]);
#elif defined(__aarch64__)
  return machine->pc;
#else
#error "maint_v8 knows no program counter of this architecture"
#endif
}

// V8's library, or code that it made itself, which belongs to no library.
bool is_code_of_v8(uintptr_t address) { return contains(*v8_segments, address) || !contains(*all_segments, address); }

[[noreturn]] void die() {
  if (requested == KillReason::kMemory) {
    ereport(FATAL, (errcode(ERRCODE_OUT_OF_MEMORY),
                    errmsg("terminating connection because JavaScript uses too much memory"),
                    errdetail("It went far beyond its limit of %d MB in one step.", engine().memory_limit_used)));
  }
  ereport(FATAL, (errcode(ERRCODE_ADMIN_SHUTDOWN),
                  errmsg("terminating connection because JavaScript did not stop within %d ms", kill_after_setting),
                  errdetail("The statement was canceled, but a function of the JavaScript engine does not end."),
                  errhint("maint_v8.kill_after sets the time.")));
  pg_unreachable();
}

void on_signal(int, siginfo_t *info, void *context) {
  // Another process, or a call that has ended since, is no reason.
  if (info->si_code != SI_TKILL || requested == KillReason::kNone || engine().depth == 0 || in_server()) return;
  if (is_code_of_v8(interrupted_at(context))) die();
}

// Used by nothing else in a backend.
int signal_number() { return SIGRTMIN + 8; }

}  // namespace

int kill_after_setting = 5000;

void prepare_to_end_session() {
  main_thread = pthread_self();
  v8_segments = new std::vector<Segment>();
  all_segments = new std::vector<Segment>();
  dl_iterate_phdr(note_object, nullptr);
  struct sigaction action = {};
  action.sa_sigaction = on_signal;
  action.sa_flags = SA_SIGINFO | SA_RESTART;
  sigemptyset(&action.sa_mask);
  sigaction(signal_number(), &action, nullptr);
}

void end_session(KillReason reason) {
  requested = reason;
  pthread_kill(main_thread, signal_number());
}

}  // namespace maint_v8
