#pragma once

#include <memory>

#include "core/bytes.h"
#include "core/error.h"

namespace shardlab {

/// An allocation beyond what an account may hold, or the machine has.
class NoMemoryLeft : public Error {
 public:
  using Error::Error;
};

/// Exact bytes of tensor memory of one lane: what was asked of the allocator, not what the process
/// holds. Memory is charged to the account of the thread that allocates and credited to the same
/// account wherever it is freed, even after the account is gone. Any thread may read. A program
/// that links this counts all its CPU tensors.
class MemoryAccount {
 public:
  explicit MemoryAccount(Bytes limit = kUnlimited);

  [[nodiscard]] Bytes current() const;
  [[nodiscard]] Bytes peak() const;  ///< Since the start or the last reset_peak().
  void reset_peak();

  struct Counters;

 private:
  friend class AccountScope;
  std::shared_ptr<Counters> counters_;
};

/// Tensors that this thread allocates while the scope lives are charged to `account`; scopes nest.
/// An allocation beyond the account's limit throws NoMemoryLeft. Without a scope nothing is
/// counted.
class AccountScope {
 public:
  explicit AccountScope(const MemoryAccount& account);
  ~AccountScope();
  AccountScope(const AccountScope&) = delete;
  AccountScope& operator=(const AccountScope&) = delete;

 private:
  std::shared_ptr<MemoryAccount::Counters> before_;
};

}  // namespace shardlab
