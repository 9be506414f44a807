#include "watcher.h"

#include "engine.h"
#include "guard.h"
#include "kill.h"
#include "process_memory.h"

#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <time.h>

namespace maint_v8 {

namespace {

constexpr long kPollMilliseconds = 4;
// It goes on polling this many times after JavaScript ended: waking it costs more than a short call takes.
constexpr int kIdlePolls = 50;
// V8's BigInt functions do not serve an interrupt but end when execution is terminated.
constexpr int64 kTerminateAfterMilliseconds = 60;

pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
v8::Isolate *watched = nullptr;  // under the mutex
std::atomic<bool> asleep{false};
std::atomic<bool> requested{false};  // an interrupt that V8 has not served yet
sem_t wake;

// On the main thread, where V8 can be interrupted. It may not enter JavaScript.
void serve_interrupt(v8::Isolate *, void *) {
  requested = false;
  if (!InterruptPending || !INTERRUPTS_CAN_BE_PROCESSED()) return;
  if (ProcDiePending || QueryCancelPending) {
    // Served when no frame of V8 is left.
    stop_javascript(StopReason::kInterrupt);
    return;
  }
  // A barrier, a statistics snapshot, memory contexts to log: other backends may wait for that.
  ErrorData *error = guarded([] { ProcessInterrupts(); });
  if (error != nullptr) stop_javascript(StopReason::kServerError, error);
}

void check_memory(v8::Isolate *, void *) { ignore(memory_fits()); }

int64 now_milliseconds() {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return int64{now.tv_sec} * 1000 + now.tv_nsec / 1000000;
}

// Whether the statement or the session has to end. A barrier alone must not end anything.
bool end_requested() {
  if (!InterruptPending || !INTERRUPTS_CAN_BE_PROCESSED()) return false;
#if PG_VERSION_NUM >= 170000
  if (TransactionTimeoutPending) return true;
#endif
  return ProcDiePending || QueryCancelPending || ClientConnectionLost;
}

// How long V8 has not come back since the end was requested. Called under the mutex with every poll.
class Overdue {
 public:
  void look(v8::Isolate *isolate) {
    // In the server's own code the server looks for interrupts itself.
    if (!end_requested() || in_server()) {
      since_ = 0;
      return;
    }
    int64 now = now_milliseconds();
    if (since_ == 0) since_ = now;
    if (now - since_ >= kTerminateAfterMilliseconds) isolate->TerminateExecution();
    if (now - since_ >= kill_after_setting) end_session(KillReason::kOverdue);
  }
  void reset() { since_ = 0; }

 private:
  int64 since_ = 0;
};

void *poll(void *) {
  const timespec pause = {0, kPollMilliseconds * 1000 * 1000};
  Overdue overdue;
  for (int idle = 0;;) {
    nanosleep(&pause, nullptr);
    pthread_mutex_lock(&mutex);
    bool running = watched != nullptr;
    if (running) {
      if (InterruptPending && !requested.exchange(true)) watched->RequestInterrupt(serve_interrupt, nullptr);
      overdue.look(watched);
      MemoryUse memory = look_at_memory();
      if (memory == MemoryUse::kInDoubt) watched->RequestInterrupt(check_memory, nullptr);
      if (memory == MemoryUse::kTooMuch) end_session(KillReason::kMemory);
    } else {
      overdue.reset();
      pause_memory_watch();
    }
    pthread_mutex_unlock(&mutex);
    idle = running ? 0 : idle + 1;
    if (idle < kIdlePolls) continue;
    asleep = true;
    pthread_mutex_lock(&mutex);
    running = watched != nullptr;  // it may have been set before asleep was
    pthread_mutex_unlock(&mutex);
    if (!running) {
      while (sem_wait(&wake) != 0) {
      }
    }
    asleep = false;
    idle = 0;
  }
  return nullptr;
}

}  // namespace

bool start_watcher() {
  if (sem_init(&wake, 0, 0) != 0) return false;
  prepare_to_end_session();
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  pthread_t thread;
  bool started = pthread_create(&thread, nullptr, poll, nullptr) == 0;
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  return started && pthread_detach(thread) == 0;
}

void watch(v8::Isolate *isolate) {
  pthread_mutex_lock(&mutex);
  watched = isolate;
  pthread_mutex_unlock(&mutex);
  if (isolate == nullptr) {
    requested = false;
    return;
  }
  if (asleep.exchange(false)) sem_post(&wake);
}

}  // namespace maint_v8
