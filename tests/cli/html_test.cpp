// The pictures of pages, as coordinates.
#include "tuner/cli/html.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <regex>

namespace temper::cli::html {
namespace {

struct Text {
  double left, top, right, bottom;
  std::string words;
};

/// The boxes of all texts, of letters a bit narrower than they are drawn.
std::vector<Text> texts_of(const std::string& svg) {
  static const std::regex text(
      "<text x=\"([-0-9.]+)\" y=\"([-0-9.]+)\" text-anchor=\"(\\w+)\">([^<]*)</text>");
  std::vector<Text> found;
  for (std::sregex_iterator at(svg.begin(), svg.end(), text), end; at != end; ++at) {
    const double width = 5.5 * static_cast<double>((*at)[4].length());
    const double x = std::stod((*at)[1]) - ((*at)[3] == "end"      ? width
                                            : (*at)[3] == "middle" ? width / 2
                                                                   : 0);
    const double y = std::stod((*at)[2]);
    found.push_back({x, y - 8, x + width, y, (*at)[4]});
  }
  return found;
}

Roofline example(size_t count) {
  Roofline roofline;
  roofline.peak_gflops = 170;
  roofline.roofs = {{"L1", 400e9}, {"L2", 200e9}, {"L3", 190e9}, {"memory", 12e9}};
  for (size_t i = 0; i < count; ++i) { // crowded under the peak, as a batch of good kernels is
    const auto at = static_cast<double>(i);
    roofline.points.push_back({"kernel", 60 + 3 * std::fmod(at, 7), 150 + std::fmod(7 * at, 11)});
  }
  return roofline;
}

TEST(RooflinePlot, NoNameCoversAnother) {
  for (const size_t count : {2, 13, 23, 40}) {
    const std::vector<Text> texts = texts_of(roofline_plot(example(count)));
    for (size_t i = 0; i < texts.size(); ++i)
      for (size_t k = 0; k < i; ++k)
        EXPECT_FALSE(texts[i].left < texts[k].right && texts[k].left < texts[i].right &&
                     texts[i].top < texts[k].bottom && texts[k].top < texts[i].bottom)
            << texts[i].words << " covers " << texts[k].words << " of " << count;
  }
}

TEST(RooflinePlot, EveryKernelAndRoofHasItsName) {
  const std::vector<Text> texts = texts_of(roofline_plot(example(23)));
  const auto has = [&](const std::string& words) {
    return std::ranges::any_of(texts, [&](const Text& text) { return text.words == words; });
  };
  for (int i = 1; i <= 23; ++i)
    EXPECT_TRUE(has(std::to_string(i))) << i;
  for (const char* roof : {"L1", "L2", "L3", "memory"})
    EXPECT_TRUE(has(roof)) << roof;
}

} // namespace
} // namespace temper::cli::html
