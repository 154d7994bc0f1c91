#include <algorithm>
#include <iterator>
#include <string_view>
#include <utility>

#include <fmt/format.h>

#include "study/report.h"

namespace shardlab {
namespace {

/// The longest table last.
std::vector<StudySection> all_sections(const Study& study, std::size_t most_settings) {
  std::vector<StudySection> all = overview(study);
  std::vector<StudySection> more = details(study, most_settings);
  all.insert(all.end() - 1, std::make_move_iterator(more.begin()),
             std::make_move_iterator(more.end()));
  return all;
}

/// Breaks at spaces.
std::string wrapped(std::string_view text, std::size_t width) {
  std::string all;
  std::size_t column = 0;
  while (!text.empty()) {
    const std::string_view word = text.substr(0, text.find(' '));
    text.remove_prefix(std::min(text.size(), word.size() + 1));
    const std::size_t columns = display_width(word);
    const bool fits = column == 0 || column + 1 + columns <= width;
    if (column > 0) all += fits ? ' ' : '\n';
    all += word;
    column = columns + (fits && column > 0 ? column + 1 : 0);
  }
  return all;
}

constexpr std::size_t kPage = 120, kTerminal = 100;

constexpr const char* kHowToRead =
    "A setting is a kind of jobs on a kind of devices, with a kind of transfer and slots. "
    "Transfer: the link, and its load: what loading a shard takes over what a unit computes, on "
    "average. Slots: units claimed at once per device, which has room for as many of the largest, "
    "or for more (`2 in 8`). Instances are drawn from the seed; all policies run the same ones. "
    "The gap of a policy is its makespan over the best lower bound known, less 1: a bound, not "
    "the optimum, so the best policy has a gap too. No bound knows how much jobs are in each "
    "other's "
    "way on a shared link: there compare policies with each other, not with the bound. Intervals "
    "(`3.1 ± 0.4`) hold 95 %, by Student's t, each for itself; in parentheses is the worst of any "
    "instance. A star, or a tie: the policy is the best of its setting, or the interval of its "
    "difference from that one, instance by instance, holds 0.";

}  // namespace

std::string study_text(const std::vector<Study>& studies) {
  std::string all;
  for (const Study& study : studies) {
    all += fmt::format("{}{}: {}seed {}\n", all.empty() ? "" : "\n", study.grid.name,
                       study.grid.about.empty() ? "" : study.grid.about + "; ", study.seed);
    for (const StudySection& each : overview(study)) {
      all +=
          fmt::format("\n{}\n{}{}\n", each.title, each.table.text(), wrapped(each.text, kTerminal));
    }
  }
  return all;
}

std::string study_markdown(const std::vector<Study>& studies, const std::string& origin,
                           const std::string& csv) {
  const std::string table = csv.empty() ? "`--csv`" : fmt::format("[{0}]({0})", csv);
  std::string all = "# A study of policies\n\n" + wrapped(origin, kPage) + "\n\n" +
                    wrapped(kHowToRead, kPage) + "\n";
  for (const Study& study : studies) {
    all += fmt::format("\n## {}\n", study.grid.name);
    if (!study.grid.about.empty()) all += "\n" + wrapped(study.grid.about, kPage) + "\n";
    if (study.cells.size() > kMostOnPage) {
      all += fmt::format("\nEvery policy in every setting: {}.\n", table);
    }
    for (const StudySection& each : all_sections(study, kMostOnPage)) {
      all += fmt::format("\n### {}\n\n{}{}{}", each.title, wrapped(each.text, kPage),
                         each.text.empty() ? "" : "\n\n", each.table.markdown());
    }
  }
  return all;
}

std::string study_latex(const std::vector<Study>& studies, const std::string& origin) {
  std::string all = "% " + origin + "\n";
  for (const Study& study : studies) {
    for (const StudySection& each : all_sections(study, study.cells.size())) {
      const std::string caption = fmt::format("{}: {}. {}", study.grid.name, each.title, each.text);
      all += fmt::format("\n\\begin{{table}}\n\\caption{{{}}}\n{}\\end{{table}}\n",
                         latex_text(caption), each.table.latex());
    }
  }
  return all;
}

}  // namespace shardlab
