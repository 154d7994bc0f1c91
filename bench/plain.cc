// Trains jobs of a workload one after another in plain LibTorch, without a limit of memory: what
// bench/side_by_side.py compares with. Prints the seconds of training as JSON; reading data and
// making models is not counted.
#include <chrono>
#include <cstdlib>
#include <exception>
#include <iostream>
#include <map>
#include <memory>
#include <string>

#include <ATen/Parallel.h>

#include "core/time.h"
#include "models/text_data.h"
#include "tests/plain_training.h"
#include "traces/workload_file.h"

namespace shardlab {
namespace {

/// Every `step`-th job from `first` on.
double train(const Workload& workload, std::size_t first, std::size_t step) {
  std::map<std::string, std::shared_ptr<const TextData>> texts;
  double sum = 0;
  for (std::size_t j = first; j < workload.jobs.size(); j += step) {
    const Job& job = workload.jobs[j];
    auto& text = texts[job.data];
    if (!text) text = std::make_shared<const TextData>(TextData::load(job.data));
    PlainTraining training(job, *text);
    const auto begin = std::chrono::steady_clock::now();
    (void)training.run();
    sum += seconds(std::chrono::steady_clock::now() - begin);
  }
  return sum;
}

}  // namespace
}  // namespace shardlab

int main(int argc, char** argv) {
  if (argc != 5) {
    std::cerr << "plain WORKLOAD.toml THREADS FIRST STEP\n";
    return 2;
  }
  try {
    at::set_num_threads(std::atoi(argv[2]));
    const double took =
        shardlab::train(shardlab::read_workload(argv[1]), std::strtoul(argv[3], nullptr, 10),
                        std::strtoul(argv[4], nullptr, 10));
    std::cout << "{\"seconds\": " << took << "}\n";
  } catch (const std::exception& failure) {
    std::cerr << "plain: " << failure.what() << "\n";
    return 1;
  }
  return 0;
}
