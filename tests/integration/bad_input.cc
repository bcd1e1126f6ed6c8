// SPDX-License-Identifier: Apache-2.0
#include "tests/integration/bad_input.h"

#include <utility>

#include "lib/base/file.h"
#include "lib/oci/archive.h"

namespace serai::testing {
namespace {

using ::testing::IsEmpty;

}  // namespace

void BadInputTest::SetUp() {
  SERAI_NEED("root");
  SERAI_NEED("net");
  ASSERT_OK(EnterOwnMachine());
}

void BadInputTest::StartNode(NodeOptions options) {
  node_ = std::make_unique<TestNode>(std::move(options));
  ASSERT_NO_FATAL_FAILURE(node_->Start());
  WarmUp();
}

void BadInputTest::WarmUp() {
  ASSERT_OK_AND_ASSIGN(const std::string pod, node_->RunPod("warm-up"));
  ASSERT_OK(node_->RemovePod(pod));
}

void BadInputTest::Mark() { watch_ = std::make_unique<LeakWatch>(*node_); }

void BadInputTest::ExpectNothingNew() {
  EXPECT_THAT(watch_->Leaks(), IsEmpty());
}

absl::StatusOr<std::string> BadInputTest::Load(const std::string& name,
                                               const ImageBuilder& image) {
  const TempDir scratch;
  ASSIGN_OR_RETURN(const oci::Layout layout,
                   oci::Layout::Create(scratch / "layout"));
  RETURN_IF_ERROR(
      layout.AddManifest(image.Build(layout).descriptor,
                         absl::StrCat("localhost/", name, ":latest")));
  return node_->LoadLayout(layout);
}

absl::StatusOr<std::string> BadInputTest::LogOf(const std::string& container) {
  ASSIGN_OR_RETURN(const auto status, node_->StatusOf(container));
  return ReadFile(status.log_path(), 1 << 20);
}

absl::StatusOr<std::string> PullImage(TestNode& node,
                                      const std::string& image) {
  cri::PullImageRequest request;
  request.mutable_image()->set_image(image);
  ASSIGN_OR_RETURN(
      const auto response,
      CallCri(node.images(), &cri::ImageService::Stub::PullImage, request));
  return response.image_ref();
}

}  // namespace serai::testing
