#include "gateway/rpc/pages.h"

#include <gtest/gtest.h>

#include "mmsmo/v1/mms_mo_service.pb.h"
#include "mmsmo/v1/subscription_service.pb.h"
#include "tests/support/status_matchers.h"

namespace mmsmo::rpc {
namespace {

using testing::StartsWith;

TEST(PageSize, HasADefaultAndALimit) {
  EXPECT_EQ(*PageSize(0), kDefaultPageSize);
  EXPECT_EQ(*PageSize(7), 7);
  EXPECT_EQ(*PageSize(1'000'000), kMaxPageSize);
  EXPECT_THAT(PageSize(-1), StatusIs(absl::StatusCode::kInvalidArgument, StartsWith("page_size")));
}

v1::ListEventsRequest Request(const std::string& keyword) {
  v1::ListEventsRequest request;
  request.mutable_filter()->add_keywords(keyword);
  return request;
}

TEST(PageToken, GoesWithTheRequestItWasGivenFor) {
  v1::ListEventsRequest request = Request("stop");
  EXPECT_EQ(*PageToken(request), "");
  EXPECT_EQ(BindPageToken("", request), "");
  const std::string token = BindPageToken("engine's", request);
  request.set_page_token(token);
  EXPECT_EQ(*PageToken(request), "engine's");
  EXPECT_EQ(BindPageToken("engine's", request), token);  // from page to page
  request.set_page_size(7);
  EXPECT_EQ(*PageToken(request), "engine's");
}

TEST(PageToken, IsRefusedByAnother) {
  v1::ListEventsRequest other = Request("go");
  v1::ListEventsRequest later = Request("stop");
  later.mutable_start_position()->mutable_accept_time()->set_seconds(1);
  for (v1::ListEventsRequest* request : {&other, &later}) {
    request->set_page_token(BindPageToken("engine's", Request("stop")));
    EXPECT_THAT(PageToken(*request),
                StatusIs(absl::StatusCode::kInvalidArgument, StartsWith("page_token: ")));
  }
  v1::ListDeadLettersRequest dead;
  for (const char* made_up : {"x", "0123456789abcdef", "engine's0123456789abcdef"}) {
    dead.set_page_token(made_up);
    EXPECT_THAT(PageToken(dead),
                StatusIs(absl::StatusCode::kInvalidArgument, StartsWith("page_token: ")));
  }
}

}  // namespace
}  // namespace mmsmo::rpc
