// SPDX-License-Identifier: Apache-2.0
// Pulls under a policy that wants signatures, which openssl(1) makes as cosign
// does.
#include "absl/strings/escaping.h"
#include "lib/base/subprocess.h"
#include "tests/cri/image/pull_test.h"

namespace serai::cri {
namespace {

using ::serai::testing::HasStatus;
using ::testing::SizeIs;

constexpr auto kRefused = absl::StatusCode::kPermissionDenied;

class SignatureTest : public PullTest {
 protected:
  void SetUp() override {
    PullTest::SetUp();
    MakeKey("ours");
    options_.signatures = {{server_.host() + "/team/*"}, {Path("ours.pub")}};
  }

  std::string Path(const std::string& name) const { return dir_ / name; }

  std::string OpenSsl(const std::vector<std::string>& args) {
    SubprocessSpec spec;
    spec.program = "/usr/bin/openssl";
    spec.args = args;
    const auto result = RunSubprocess(spec);
    EXPECT_OK(result);
    EXPECT_EQ(result->exit_code, 0) << result->error_output;
    return result->output;
  }

  void MakeKey(const std::string& name,
               const std::vector<std::string>& kind = {
                   "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"}) {
    std::vector<std::string> args = {"genpkey", "-out", Path(name + ".key")};
    args.insert(args.end(), kind.begin(), kind.end());
    OpenSsl(args);
    OpenSsl({"pkey", "-in", Path(name + ".key"), "-pubout", "-out",
             Path(name + ".pub")});
  }

  // Signs `payload` with a key, and puts it beside the image.
  void Publish(const std::string& payload, const std::string& key,
               bool digests = true) {
    ASSERT_OK(WriteFileAtomic(Path("payload"), payload));
    const std::string signature =
        digests ? OpenSsl({"dgst", "-sha256", "-sign", Path(key + ".key"),
                           Path("payload")})
                : OpenSsl({"pkeyutl", "-sign", "-rawin", "-inkey",
                           Path(key + ".key"), "-in", Path("payload")});
    ASSERT_OK_AND_ASSIGN(
        oci::Descriptor layer,
        made_.layout().WriteBlob(oci::kMediaTypeSimpleSigning, payload));
    layer.annotations[oci::kAnnotationSignature] =
        absl::Base64Escape(signature);
    oci::Manifest manifest;
    ASSERT_OK_AND_ASSIGN(manifest.config,
                         made_.layout().WriteBlob(oci::kMediaTypeConfig, "{}"));
    manifest.layers = {layer};
    ASSERT_OK_AND_ASSIGN(const oci::Descriptor stored,
                         made_.layout().WriteBlob(oci::kMediaTypeManifest,
                                                  oci::ToJson(manifest)));
    tags_[oci::SignatureTag(top_.digest)] = stored.digest;
  }

  static std::string Payload(const oci::Digest& digest) {
    return absl::StrCat(
        R"({"critical":{"identity":{"docker-reference":"r.example/app"},)",
        R"("image":{"docker-manifest-digest":")", digest.ToString(),
        R"("},"type":"cosign container image signature"},"optional":null})");
  }

  void ExpectRefused(const std::string& why) {
    const auto image = PullTag();
    EXPECT_THAT(image, HasStatus(kRefused, why));
    EXPECT_TRUE(IsSignatureInvalid(image.status())) << image.status();
    ExpectNothingLeft();
  }
};

TEST_F(SignatureTest, SignedByTheKeyItIsLetIn) {
  Publish(Payload(top_.digest), "ours");
  ASSERT_OK(PullTag());
  // What was fetched to decide is not kept.
  EXPECT_THAT(*ListDir(dir_ / "store/images/blobs/sha256"), SizeIs(3));
}

TEST_F(SignatureTest, EveryKindOfKeyIsUnderstood) {
  MakeKey("rsa", {"-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"});
  MakeKey("ed", {"-algorithm", "ED25519"});
  options_.signatures.keys = {Path("rsa.pub"), Path("ed.pub")};
  for (const bool rsa : {true, false}) {
    Publish(Payload(top_.digest), rsa ? "rsa" : "ed", rsa);
    EXPECT_OK(PullTag());
  }
}

TEST_F(SignatureTest, UnsignedItIsRefused) {
  ExpectRefused("it is not signed");
  // By digest as well.
  EXPECT_THAT(Pull(Name() + "@" + top_.digest.ToString()),
              HasStatus(kRefused, "it is not signed"));
}

TEST_F(SignatureTest, SignedByAnotherOrForAnotherItIsRefused) {
  MakeKey("theirs");
  Publish(Payload(top_.digest), "theirs");
  ExpectRefused("signed by none of the keys");
  Publish(Payload(oci::DigestOf("another image")), "ours");
  ExpectRefused("another image's");
  Publish(R"({"critical":{"type":"something"}})", "ours");
  ExpectRefused("payload");
}

TEST_F(SignatureTest, WithoutAKeyNothingIsLetIn) {
  Publish(Payload(top_.digest), "ours");
  options_.signatures.keys = {Path("none.pub")};
  ExpectRefused("none.pub");
  puller_.reset();
  ASSERT_OK(WriteFileAtomic(Path("bad.pub"), "not a key"));
  options_.signatures.keys = {Path("bad.pub")};
  ExpectRefused("not a public key");
}

TEST_F(SignatureTest, OtherRepositoriesAreNotAsked) {
  options_.signatures.images = {"elsewhere.example/*"};
  EXPECT_OK(PullTag());
}

TEST_F(SignatureTest, ARegistryThatFailsIsNotABadSignature) {
  AnswerAt("sha256-", 500, "");
  const auto image = PullTag();
  EXPECT_THAT(image, HasStatus(absl::StatusCode::kUnavailable, "500"));
  EXPECT_FALSE(IsSignatureInvalid(image.status()));
  EXPECT_TRUE(IsRegistryUnavailable(image.status()));
}

}  // namespace
}  // namespace serai::cri
