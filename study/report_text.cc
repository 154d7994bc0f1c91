#include <fmt/format.h>

#include "study/report.h"

namespace shardlab {
namespace {

std::vector<StudySection> all_sections(const Study& study) {
  std::vector<StudySection> all = overview(study);
  for (StudySection& each : details(study)) all.push_back(std::move(each));
  return all;
}

constexpr const char* kHowToRead =
    "A setting is a kind of jobs on a kind of devices, with a kind of transfer (link and its load: "
    "what loading a\nshard takes over what a unit computes, on average) and a number of slots. Its "
    "instances are drawn from the seed; all\npolicies run the same ones. The gap of a policy is "
    "its makespan over the best lower bound known, less 1: a bound, not\nthe optimum, so even the "
    "best policy may have a gap. `3.1 ± 0.4 (7.9) *` is a mean gap of 3.1 % with its 95 "
    "%\ninterval, "
    "the worst of any instance, and a star where the policy is the best of its setting or its "
    "difference from that\none, instance by instance, has a 95 % interval that holds 0. Each "
    "interval "
    "is by Student's t and holds for itself, not all\nof them at once.\n";

}  // namespace

std::string study_text(const std::vector<Study>& studies) {
  std::string all;
  for (const Study& study : studies) {
    all += fmt::format("{}{}: {}seed {}\n", all.empty() ? "" : "\n", study.grid.name,
                       study.grid.about.empty() ? "" : study.grid.about + "; ", study.seed);
    for (const StudySection& each : overview(study)) {
      all += fmt::format("\n{}\n{}{}\n", each.title, each.table.text(), each.text);
    }
  }
  return all;
}

std::string study_markdown(const std::vector<Study>& studies, const std::string& origin) {
  std::string all = "# A study of policies\n\n" + origin + "\n\n" + kHowToRead;
  for (const Study& study : studies) {
    all += fmt::format("\n## {}\n\n", study.grid.name);
    if (!study.grid.about.empty()) all += study.grid.about + "\n";
    for (const StudySection& each : all_sections(study)) {
      all += fmt::format("\n### {}\n\n{}{}{}", each.title, each.text,
                         each.text.empty() ? "" : "\n\n", each.table.markdown());
    }
  }
  return all;
}

std::string study_latex(const std::vector<Study>& studies, const std::string& origin) {
  std::string all = "% " + origin + "\n";
  for (const Study& study : studies) {
    for (const StudySection& each : all_sections(study)) {
      const std::string caption = fmt::format("{}: {}. {}", study.grid.name, each.title, each.text);
      all += fmt::format("\n\\begin{{table}}\n\\caption{{{}}}\n{}\\end{{table}}\n",
                         latex_text(caption), each.table.latex());
    }
  }
  return all;
}

}  // namespace shardlab
