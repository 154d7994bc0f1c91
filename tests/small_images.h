#pragma once

#include <string>

#include "core/model.h"
#include "models/text_data.h"

namespace shardlab {

/// Images in CIFAR-10's binary format: image i has label i % 10, pixel p of it 20 x label + p % 50.
inline TextData small_images(int images) {
  std::string records;
  for (int i = 0; i < images; ++i) {
    const int label = i % kImageClasses;
    records += static_cast<char>(label);
    for (int p = 0; p < kImageNumbers; ++p) records += static_cast<char>(20 * label + p % 50);
  }
  return {"images", records};
}

}  // namespace shardlab
