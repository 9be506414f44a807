#include "memory_limit.h"

#include <cstdlib>

namespace maint_v8 {

bool LimitedAllocator::fits(size_t length) {
  if (length <= limit_ && in_use_ + heap_in_use_ <= limit_ - length) return true;
  refused_ = true;
  return false;
}

void *LimitedAllocator::Allocate(size_t length) {
  if (!fits(length)) return nullptr;
  void *data = calloc(1, length);
  if (data != nullptr) in_use_ += length;
  return data;
}

void *LimitedAllocator::AllocateUninitialized(size_t length) {
  if (!fits(length)) return nullptr;
  void *data = malloc(length);
  if (data != nullptr) in_use_ += length;
  return data;
}

void LimitedAllocator::Free(void *data, size_t length) {
  free(data);
  in_use_ -= length;
}

}  // namespace maint_v8
