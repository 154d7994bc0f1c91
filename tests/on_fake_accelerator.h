#pragma once

#include <ATen/Parallel.h>
#include <gtest/gtest.h>

#include "tests/fake_accelerator.h"

namespace shardlab {

/// Tests on the fake accelerator; skipped where there is a GPU.
class OnFakeAccelerator : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    at::set_num_threads(1);
    if (fake::possible()) fake::install();
  }
  void SetUp() override {
    if (!fake::possible()) GTEST_SKIP() << "there is a GPU";
  }
  void TearDown() override {
    if (fake::possible()) fake::reset();
  }
};

}  // namespace shardlab
