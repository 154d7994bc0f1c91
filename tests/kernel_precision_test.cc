#include "imports/kernel_precision.h"

#include <map>
#include <optional>
#include <string>

#include <gtest/gtest.h>

namespace shardlab {
namespace {

// Names as they stand in traces of PyTorch; those of nvjet from profiles of H100.
TEST(KernelPrecision, NamesOfMatrixKernelsSayIt) {
  const std::map<std::string, std::optional<Precision>> known{
      {"ampere_sgemm_128x64_nn", Precision::kFp32},
      {"volta_sgemm_64x64_nt", Precision::kFp32},
      {"volta_scudnn_128x64_relu_interior_nn_v1", Precision::kFp32},
      {"void cutlass::Kernel<cutlass_80_simt_sgemm_128x128_8x4_nn_align1>", Precision::kFp32},
      {"void wgrad_alg0_engine<float, 128, 6, 8, 3, 3, 5, false, 512>", Precision::kFp32},
      {"void cutlass::Kernel<cutlass_80_tensorop_s1688gemm_64x64_32x6_tn_align4>(cutlass_80_tens",
       Precision::kTf32},
      {"sm80_xmma_fprop_implicit_gemm_indexed_tf32f32_tf32f32_f32_nhwckrsc_nchw_tilesize128x128x16",
       Precision::kTf32},
      {"ampere_bf16_s16816gemm_bf16_128x128_ldg8_f2f_stages_32x5_nn", Precision::kBf16},
      {"sm90_xmma_gemm_bf16bf16_bf16f32_f32_tn_n_tilesize128x128x64", Precision::kBf16},
      {"void flash_fwd_kernel<Flash_fwd_kernel_traits<64, 128, 128, 4, cutlass::bfloat16_t>>",
       Precision::kBf16},
      {"nvjet_tst_128x256_64x4_1x2_h_bz_coopA_TNT", Precision::kBf16},
      {"nvjet_hsh_128x256_64x4_1x2_h_bz_coopA_TNT", Precision::kFp16},
      {"nvjet_sss_128x256", std::nullopt},
      {"ampere_fp16_s1688gemm_fp16_128x64_ldg8_f2f_nn", Precision::kFp16},
      {"turing_h1688gemm_128x64_ldg8_nn", Precision::kFp16},
      {"volta_h884gemm_64x64_ldg8_nn", Precision::kFp16},
      {"Cijk_Alik_Bljk_SB_Bias_AS_SAV_UserArgs_MT64x16x32_MI16x16x1_SN_LDSB0_A", Precision::kFp32},
      {"Cijk_Ailk_Bljk_HHS_BH_MT128x128x32", Precision::kFp16},
      {"Cijk_Ailk_Bljk_BBS_BH_MT128x128x32", Precision::kBf16},
      // No matrix products, whatever types they name.
      {"void at::native::vectorized_elementwise_kernel<4, at::native::CUDAFunctor<c10::BFloat16>>",
       std::nullopt},
      {"void fbgemm_gpu::permute_2D_lengths_kernel<int>", std::nullopt},
      {"ncclDevKernel_AllReduce_Sum_bf16_RING_LL", std::nullopt},
      {"Cijk_", std::nullopt},
      {"", std::nullopt}};
  for (const auto& [name, precision] : known) EXPECT_EQ(kernel_precision(name), precision) << name;
}

TEST(PrecisionTally, NineTenthsOfTheTimeDecide) {
  PrecisionTally tally;
  EXPECT_EQ(tally.found(), std::nullopt);
  EXPECT_EQ(tally.note(), "");
  tally.kernel("ampere_sgemm_128x64_nn", Duration{900});
  tally.kernel("nvjet_tst_128x256", Duration{100});
  tally.kernel("void at::native::add<float>", Duration{90'000});
  EXPECT_EQ(tally.found(), Precision::kFp32);
  EXPECT_EQ(tally.note(),
            "precision: fp32 90 %, bf16 10 % of the time of matrix products, by names of kernels");
  tally.kernel("nvjet_tst_128x256", Duration{1});
  EXPECT_EQ(tally.found(), std::nullopt);
  EXPECT_TRUE(tally.note().ends_with("; mixed, so taken as not known"));
}

TEST(PrecisionTally, TypesOfInputsSayItWhereNoKernelDoes) {
  PrecisionTally tally;
  tally.operation(R"(["float", "float"])");  // Or tf32.
  EXPECT_EQ(tally.found(), std::nullopt);
  tally.operation(R"(["c10::BFloat16", "c10::BFloat16"])");
  EXPECT_EQ(tally.found(), Precision::kBf16);
  EXPECT_EQ(tally.note(), "precision: bf16 100 % of matrix products, by types of inputs");
  tally.kernel("ampere_sgemm_128x64_nn", Duration{1});
  EXPECT_EQ(tally.found(), Precision::kFp32);
}

}  // namespace
}  // namespace shardlab
