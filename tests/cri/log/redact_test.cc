// SPDX-License-Identifier: Apache-2.0
#include "cri/log/redact.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "proto/cri/container.pb.h"
#include "proto/cri/image.pb.h"
#include "proto/cri/pod.pb.h"

namespace serai::cri {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

TEST(RedactTest, SecretsAreTakenOutAndTheRestStays) {
  runtime::v1::PullImageRequest request;
  request.mutable_image()->set_image("registry.example/app:1");
  request.mutable_auth()->set_username("caravan");
  request.mutable_auth()->set_password("s3cret-1");
  request.mutable_auth()->set_auth("s3cret-2");
  request.mutable_auth()->set_identity_token("s3cret-3");
  request.mutable_auth()->set_registry_token("s3cret-4");
  (*request.mutable_sandbox_config()->mutable_annotations())
      ["kubectl.kubernetes.io/"
       "last-applied-configuration"] = "s3cret-5";
  (*request.mutable_sandbox_config()->mutable_annotations())["a"] = "shown";
  const std::string text = Redacted(request);
  EXPECT_THAT(text, Not(HasSubstr("s3cret")));
  EXPECT_THAT(text, HasSubstr("registry.example/app:1"));
  EXPECT_THAT(text, HasSubstr("caravan"));
  EXPECT_THAT(text, HasSubstr("shown"));
  // The request itself is as it was.
  EXPECT_EQ(request.auth().password(), "s3cret-1");
}

TEST(RedactTest, SoAreTheValuesOfTheEnvironmentAndUnknownFields) {
  runtime::v1::CreateContainerRequest request;
  auto* env = request.mutable_config()->add_envs();
  env->set_key("TOKEN");
  env->set_value("s3cret");
  request.mutable_config()
      ->GetReflection()
      ->MutableUnknownFields(request.mutable_config())
      ->AddLengthDelimited(999, "s3cret");
  const std::string text = Redacted(request);
  EXPECT_THAT(text, HasSubstr("TOKEN"));
  EXPECT_THAT(text, Not(HasSubstr("s3cret")));
}

}  // namespace
}  // namespace serai::cri
