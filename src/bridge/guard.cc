#include "guard.h"

namespace maint_v8 {

// Kept out of line: setjmp must not see the caller's variables in registers.
__attribute__((noinline)) ErrorData *run_guarded(void (*work)(void *), void *argument) noexcept {
  MemoryContext context = CurrentMemoryContext;
  ErrorData *volatile error = nullptr;
  PG_TRY();
  {
    work(argument);
  }
  PG_CATCH();
  {
    MemoryContextSwitchTo(TopTransactionContext);
    error = CopyErrorData();
    FlushErrorState();
    MemoryContextSwitchTo(context);
  }
  PG_END_TRY();
  return error;
}

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
