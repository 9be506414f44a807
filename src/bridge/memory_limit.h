// The memory of ArrayBuffers, which lies outside V8's heap, under the same limit.
#pragma once

#include "bridge.h"

namespace maint_v8 {

class LimitedAllocator final : public v8::ArrayBuffer::Allocator {
 public:
  explicit LimitedAllocator(size_t limit) : limit_(limit) {}
  ~LimitedAllocator() override = default;

  void *Allocate(size_t length) override;
  void *AllocateUninitialized(size_t length) override;
  void Free(void *data, size_t length) override;

  size_t in_use() const { return in_use_; }
  void set_heap_in_use(size_t bytes) { heap_in_use_ = bytes; }

  // Whether a request was refused since clear_refusal: then "Array buffer allocation failed" is a matter of memory.
  bool refused() const { return refused_; }
  void clear_refusal() { refused_ = false; }

 private:
  bool fits(size_t length);

  size_t limit_;
  size_t in_use_ = 0;
  size_t heap_in_use_ = 0;  // at the last full garbage collection
  bool refused_ = false;
};

}  // namespace maint_v8
