#include "gateway/broker/keyword.h"

#include <gtest/gtest.h>

namespace mmsmo::broker {
namespace {

TEST(FoldKeyword, IsTheSameInAnyCase) {
  const std::pair<std::string_view, std::string_view> same[] = {
      {"STOP", "stop"},
      {"ARRÊT", "arrêt"},
      {"СТОП", "стоп"},
      {"STRASSE", "straße"},
      {"STRAẞE", "straße"},
      {"ΣΤΟΠ", "στοπ"},
      {"ΛΌΓΟΣ", "λόγος"},                        // a final sigma
      {"ARRE\xcc\x82T", "arrêt"},                // a combining circumflex
      {"\xce\xaa\xcc\x81", "\xce\x90"},          // a dialytika and a tonos
      {"\xe2\x84\xaa", "k"},                     // the Kelvin sign
      {"\xf0\x90\x90\x80", "\xf0\x90\x90\xa8"},  // Deseret
      {"ﬁn", "FIN"},
  };
  for (int round = 0; round < 2; ++round) {
    for (const auto& [a, b] : same) EXPECT_EQ(FoldKeyword(a), FoldKeyword(b)) << a << " " << b;
  }
}

TEST(FoldKeyword, LeavesOtherDifferences) {
  const std::pair<std::string_view, std::string_view> different[] = {
      {"stop", "stop "}, {"arrêt", "arret"}, {"İ", "i"}, {"стоп", "stop"}, {"２", "2"}};
  for (const auto& [a, b] : different) EXPECT_NE(FoldKeyword(a), FoldKeyword(b)) << a << " " << b;
}

TEST(FoldKeyword, FoldsOfWhatIsNoKeywordOnlyAscii) {
  std::string text = "Ê";
  while (text.size() <= 1024) text += 'A';
  std::string folded = "Ê";
  folded.resize(text.size(), 'a');
  EXPECT_EQ(FoldKeyword(text), folded);
}

}  // namespace
}  // namespace mmsmo::broker
