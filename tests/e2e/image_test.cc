// SPDX-License-Identifier: Apache-2.0
// Images: pulled from a registry by every kind of reference, the same in every
// call, removed with all their names.
#include <algorithm>
#include <thread>

#include "absl/strings/str_cat.h"
#include "lib/base/file.h"
#include "lib/base/subprocess.h"
#include "tests/e2e/e2e_test.h"
#include "tests/support/registry.h"

namespace serai::testing {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::UnorderedElementsAre;
using Images = cri::ImageService::Stub;

class ImageTest : public E2eTest {
 protected:
  void SetUp() override {
    ASSERT_NO_FATAL_FAILURE(E2eTest::SetUp());
    if (IsSkipped()) return;
    SERAI_NEED_REGISTRY();
    // In the test's own network, as the node is.
    ASSERT_OK_AND_ASSIGN(registry_, LocalRegistry::Start());
    ASSERT_OK(Push("hello", "shop/hello:1"));
    ASSERT_OK(Push("hello", "shop/hello:2"));
    ASSERT_OK(Push("exit", "shop/exit:1"));
  }

  absl::Status Push(const std::string& guest, const std::string& name) const {
    SubprocessSpec spec;
    spec.program = JoinPath(BuildDir(), "bin/serai");
    spec.args = {"pack", "-t", Name(name), "--push",
                 JoinPath(BuildDir(), absl::StrCat("guests/", guest, ".spt"))};
    ASSIGN_OR_RETURN(const SubprocessResult result, RunSubprocess(spec));
    if (result.exit_code == 0) return absl::OkStatus();
    return absl::InternalError(
        absl::StrCat(result.error_output, result.output));
  }

  std::string Name(const std::string& image) const {
    return absl::StrCat(registry_->host(), "/", image);
  }

  absl::StatusOr<std::string> Pull(const std::string& name) {
    cri::PullImageRequest request;
    request.mutable_image()->set_image(name);
    ASSIGN_OR_RETURN(const auto answer,
                     Ask(images(), &Images::PullImage, request));
    return answer.image_ref();
  }
  absl::StatusOr<cri::ImageStatusResponse> Status(const std::string& name) {
    cri::ImageStatusRequest request;
    request.mutable_image()->set_image(name);
    return Ask(images(), &Images::ImageStatus, request);
  }
  bool Has(const std::string& name) {
    const auto status = Status(name);
    EXPECT_OK(status);
    return status.ok() && status->has_image();
  }
  absl::Status Remove(const std::string& name) {
    cri::RemoveImageRequest request;
    request.mutable_image()->set_image(name);
    return Ask(images(), &Images::RemoveImage, request).status();
  }
  std::vector<std::string> Listed() {
    const auto answer =
        Ask(images(), &Images::ListImages, cri::ListImagesRequest());
    EXPECT_OK(answer);
    std::vector<std::string> ids;
    if (!answer.ok()) return ids;
    for (const auto& image : answer->images()) ids.push_back(image.id());
    return ids;
  }

  std::unique_ptr<LocalRegistry> registry_;
};
SERAI_EVERY_MODE(ImageTest);

TEST_P(ImageTest, IsPulledByTagAndFoundByEveryName) {
  EXPECT_FALSE(Has(Name("shop/hello:1")));
  ASSERT_OK_AND_ASSIGN(const std::string id, Pull(Name("shop/hello:1")));
  ASSERT_OK_AND_ASSIGN(const auto status, Status(Name("shop/hello:1")));
  EXPECT_EQ(status.image().id(), id);
  EXPECT_GT(status.image().size(), 0U);
  EXPECT_THAT(status.image().repo_tags(), ElementsAre(Name("shop/hello:1")));
  ASSERT_EQ(status.image().repo_digests_size(), 1);
  for (const std::string& name : {id, status.image().repo_digests(0)}) {
    ASSERT_OK_AND_ASSIGN(const auto same, Status(name));
    EXPECT_EQ(same.image().id(), id) << name;
  }
  EXPECT_THAT(Listed(), Contains(id));
  // A second time it is there.
  ASSERT_OK_AND_ASSIGN(const std::string again, Pull(Name("shop/hello:1")));
  EXPECT_EQ(again, id);
}

TEST_P(ImageTest, IsPulledByDigestAndThenHasNoTag) {
  ASSERT_OK(Pull(Name("shop/exit:1")));
  ASSERT_OK_AND_ASSIGN(const auto tagged, Status(Name("shop/exit:1")));
  ASSERT_EQ(tagged.image().repo_digests_size(), 1);
  const std::string by_digest = tagged.image().repo_digests(0);
  ASSERT_OK(Remove(tagged.image().id()));
  EXPECT_FALSE(Has(by_digest));

  ASSERT_OK(Pull(by_digest));
  ASSERT_OK_AND_ASSIGN(const auto status, Status(by_digest));
  EXPECT_THAT(status.image().repo_tags(), IsEmpty());
  EXPECT_THAT(status.image().repo_digests(), ElementsAre(by_digest));
}

TEST_P(ImageTest, HasOneIdUnderAllItsNamesAndGoesWithThem) {
  ASSERT_OK_AND_ASSIGN(const std::string one, Pull(Name("shop/hello:1")));
  ASSERT_OK_AND_ASSIGN(const std::string two, Pull(Name("shop/hello:2")));
  EXPECT_EQ(one, two);
  ASSERT_OK_AND_ASSIGN(const auto status, Status(one));
  EXPECT_THAT(status.image().repo_tags(),
              UnorderedElementsAre(Name("shop/hello:1"), Name("shop/hello:2")));
  ASSERT_OK(Remove(one));
  EXPECT_FALSE(Has(Name("shop/hello:1")));
  EXPECT_FALSE(Has(Name("shop/hello:2")));
  EXPECT_FALSE(Has(one));
  EXPECT_THAT(Listed(), Not(Contains(one)));
  EXPECT_OK(Remove(one));
}

TEST_P(ImageTest, IsRemovedByManyAtOnce) {
  ASSERT_OK_AND_ASSIGN(const std::string id, Pull(Name("shop/hello:1")));
  absl::Status removed[4];
  std::vector<std::thread> callers;
  for (absl::Status& status : removed) {
    callers.emplace_back([&] { status = Remove(id); });
  }
  for (std::thread& caller : callers) caller.join();
  for (const absl::Status& status : removed) EXPECT_OK(status);
  EXPECT_FALSE(Has(id));
}

TEST_P(ImageTest, WhatIsNotThereIsNoErrorUntilItIsPulled) {
  EXPECT_FALSE(Has(Name("shop/none:1")));
  EXPECT_OK(Remove(Name("shop/none:1")));
  EXPECT_FALSE(Pull(Name("shop/none:1")).ok());
  EXPECT_FALSE(Pull("UPPER/case:1").ok());
}

TEST_P(ImageTest, TheFileSystemIsARealOne) {
  ASSERT_OK_AND_ASSIGN(const auto info, Ask(images(), &Images::ImageFsInfo,
                                            cri::ImageFsInfoRequest()));
  ASSERT_GE(info.image_filesystems_size(), 1);
  EXPECT_TRUE(PathExists(info.image_filesystems(0).fs_id().mountpoint()));
  EXPECT_GT(info.image_filesystems(0).timestamp(), 0);
}

}  // namespace
}  // namespace serai::testing
