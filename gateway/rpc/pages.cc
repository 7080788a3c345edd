#include "gateway/rpc/pages.h"

#include <google/protobuf/descriptor.h>

#include <memory>
#include <string_view>

namespace mmsmo::rpc {
namespace {

using google::protobuf::Message;

constexpr size_t kMarkSize = 16;

const google::protobuf::FieldDescriptor* Field(const Message& request, const char* name) {
  return request.GetDescriptor()->FindFieldByName(name);
}

// Of what the pages of one list have in common: FNV-1a, which is the same in every process.
std::string MarkOf(const Message& request) {
  const std::unique_ptr<Message> list(request.New());
  list->CopyFrom(request);
  for (const char* name : {"page_token", "page_size"})
    list->GetReflection()->ClearField(list.get(), Field(request, name));
  uint64_t hash = 0xcbf29ce484222325;
  for (const char c : list->SerializeAsString()) {
    hash ^= static_cast<unsigned char>(c);
    hash *= 0x100000001b3;
  }
  return fmt::format("{:016x}", hash);
}

}  // namespace

std::string BindPageToken(const std::string& token, const Message& request) {
  return token.empty() ? "" : token + MarkOf(request);
}

absl::StatusOr<std::string> PageToken(const Message& request) {
  const std::string bound =
      request.GetReflection()->GetString(request, Field(request, "page_token"));
  if (bound.empty()) return bound;
  if (bound.size() <= kMarkSize || !bound.ends_with(MarkOf(request))) {
    return InvalidArgument(
        "page_token: it is not that of a page of this request; the other fields must stay as they "
        "were");
  }
  return bound.substr(0, bound.size() - kMarkSize);
}

}  // namespace mmsmo::rpc
