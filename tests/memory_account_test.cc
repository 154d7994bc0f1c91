#include "models/memory_account.h"

#include <cstdint>
#include <optional>
#include <thread>

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "core/error.h"

namespace shardlab {
namespace {

at::Tensor kibibytes(std::int64_t count) { return at::empty({count * 256}, at::kFloat); }

TEST(MemoryAccount, CountsExactlyWhatIsHeldAndItsPeak) {
  const MemoryAccount account;
  MemoryAccount same = account;
  const AccountScope scope(account);
  const at::Tensor first = kibibytes(1);
  {
    const at::Tensor second = kibibytes(4);
    const at::Tensor view = second.view({2, -1});
    EXPECT_EQ(account.current(), 5 * 1024);
  }
  EXPECT_EQ(account.current(), 1024);
  EXPECT_EQ(account.peak(), 5 * 1024);
  same.reset_peak();
  EXPECT_EQ(account.peak(), 1024);
  const at::Tensor odd = at::empty({3}, at::kByte);
  EXPECT_EQ(account.current(), 1024 + 3);
  EXPECT_EQ(reinterpret_cast<std::uintptr_t>(odd.data_ptr()) % 64, 0U);
}

TEST(MemoryAccount, CountsWhatOperatorsAllocate) {
  const at::Tensor a = kibibytes(1);
  const MemoryAccount account;
  const AccountScope scope(account);
  EXPECT_EQ(a.add(a).numel(), 256);
  EXPECT_EQ(account.current(), 0);
  EXPECT_EQ(account.peak(), 1024);
}

TEST(MemoryAccount, ChargesTheThreadThatAllocatesAndCreditsItAnywhere) {
  const MemoryAccount mine;
  const MemoryAccount theirs;
  at::Tensor handed_over;
  {
    const AccountScope scope(mine);
    const at::Tensor own = kibibytes(2);
    std::thread([&] {
      const AccountScope other(theirs);
      handed_over = kibibytes(8);
      EXPECT_EQ(theirs.current(), 8 * 1024);
    }).join();
    EXPECT_EQ(mine.current(), 2 * 1024);
    handed_over.reset();
  }
  EXPECT_EQ(theirs.current(), 0);
  EXPECT_EQ(mine.current(), 0);
}

TEST(MemoryAccount, ScopesNestAndNothingIsCountedOutside) {
  const MemoryAccount outer;
  const MemoryAccount inner;
  const AccountScope outer_scope(outer);
  std::optional<AccountScope> inner_scope(inner);
  const at::Tensor first = kibibytes(1);
  inner_scope.reset();
  const at::Tensor second = kibibytes(2);
  EXPECT_EQ(inner.current(), 1024);
  EXPECT_EQ(outer.current(), 2048);
}

TEST(MemoryAccount, RefusesBeyondItsLimitAndStaysUsable) {
  const MemoryAccount account(4096);
  const AccountScope scope(account);
  std::optional<at::Tensor> filler = kibibytes(1);
  const at::Tensor fits = kibibytes(3);
  EXPECT_THROW(kibibytes(1), Error);
  EXPECT_EQ(account.current(), 4096);
  filler.reset();
  EXPECT_EQ(kibibytes(1).numel(), 256);
  EXPECT_EQ(account.peak(), 4096);
}

TEST(MemoryAccount, MemoryMayOutliveItsAccount) {
  at::Tensor survivor;
  {
    const MemoryAccount account;
    const AccountScope scope(account);
    survivor = kibibytes(1);
  }
  EXPECT_EQ(survivor.fill_(1).sum().item<float>(), 256);
}

}  // namespace
}  // namespace shardlab
