#include "guard.h"

namespace maint_v8 {

namespace {

std::atomic<int> server_calls{0};

// Out of memory a second time, there is no way to tell JavaScript; and the server's own way, to jump on from here, would
// leave frames of V8 half done. Only this session ends.
ErrorData *copy_error() {
  ErrorData *volatile error = nullptr;
  PG_TRY();
  {
    error = CopyErrorData();
  }
  PG_CATCH();
  {
    ereport(FATAL, (errcode(ERRCODE_OUT_OF_MEMORY), errmsg("maint_v8: out of memory while an error was handled")));
  }
  PG_END_TRY();
  return error;
}

}  // namespace

// Kept out of line: setjmp must not see the caller's variables in registers.
__attribute__((noinline)) ErrorData *run_guarded(void (*work)(void *), void *argument) noexcept {
  MemoryContext context = CurrentMemoryContext;
  ErrorData *volatile error = nullptr;
  const int before = server_calls;
  server_calls = before + 1;
  PG_TRY();
  {
    work(argument);
  }
  PG_CATCH();
  {
    MemoryContextSwitchTo(TopTransactionContext);
    error = copy_error();
    FlushErrorState();
    MemoryContextSwitchTo(context);
  }
  PG_END_TRY();
  server_calls = before;
  return error;
}

bool in_server() { return server_calls > 0; }

OutsideServer::OutsideServer() : before_(server_calls.exchange(0)) {}

OutsideServer::~OutsideServer() { server_calls = before_; }

ErrorData *Subtransaction::begin() noexcept {
  memory_context_ = CurrentMemoryContext;
  resource_owner_ = CurrentResourceOwner;
  return guarded([this] {
    BeginInternalSubTransaction(nullptr);
    MemoryContextSwitchTo(memory_context_);
  });
}

ErrorData *Subtransaction::commit() noexcept {
  ErrorData *error = guarded([] { ReleaseCurrentSubTransaction(); });
  MemoryContextSwitchTo(memory_context_);
  if (error == nullptr) CurrentResourceOwner = resource_owner_;
  return error;
}

ErrorData *Subtransaction::roll_back() noexcept {
  ErrorData *error = guarded([] { RollbackAndReleaseCurrentSubTransaction(); });
  MemoryContextSwitchTo(memory_context_);
  CurrentResourceOwner = resource_owner_;
  return error;
}

}  // namespace maint_v8
