#include "gateway/postback/operators.h"

namespace mmsmo::postback {
namespace {

struct Operator {
  std::string_view id;
  std::string_view name;
};
constexpr Operator kOperators[] = {
    {"31002", "AT&T"},
    {"31003", "Verizon"},
    {"31004", "T-Mobile"},
    {"31005", "Sprint"},
    {"31012", "US Cellular"},
    {"31062", "Metro"},
    {"33011", "Claro PR"},
    {"30205", "SaskTel"},
    {"30210", "Rogers"},
    {"30211", "Bell"},
    {"30212", "Fido"},
    {"30213", "TELUS"},
    {"30214", "Videotron"},
    {"10488", "Google Voice"},
    // Of the XML in upper case.
    {"0001470", "AT&T"},
    {"0001890", "Verizon"},
};

}  // namespace

std::string_view OperatorName(std::string_view operator_id) {
  for (const Operator& one : kOperators) {
    if (one.id == operator_id) return one.name;
  }
  return {};
}

}  // namespace mmsmo::postback
