// SPDX-License-Identifier: Apache-2.0
#include "tests/integration/certificates.h"

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <cstdio>
#include <memory>

#include "gtest/gtest.h"

namespace serai::testing {
namespace {

using Key = std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)>;
using Certificate = std::unique_ptr<X509, decltype(&X509_free)>;

void AddExtension(X509* certificate, int nid, const char* value) {
  X509V3_CTX context;
  X509V3_set_ctx(&context, certificate, certificate, nullptr, nullptr, 0);
  X509_EXTENSION* extension =
      X509V3_EXT_conf_nid(nullptr, &context, nid, value);
  ASSERT_NE(extension, nullptr) << value;
  X509_add_ext(certificate, extension, -1);
  X509_EXTENSION_free(extension);
}

Certificate Make(const char* name, EVP_PKEY* key, X509* issuer,
                 EVP_PKEY* issuer_key) {
  Certificate certificate(X509_new(), &X509_free);
  X509* it = certificate.get();
  X509_set_version(it, 2);
  ASN1_INTEGER_set(X509_get_serialNumber(it), issuer == nullptr ? 1 : 2);
  X509_gmtime_adj(X509_getm_notBefore(it), -3600);
  X509_gmtime_adj(X509_getm_notAfter(it), 3600);
  X509_set_pubkey(it, key);
  X509_NAME_add_entry_by_txt(X509_get_subject_name(it), "CN", MBSTRING_ASC,
                             reinterpret_cast<const unsigned char*>(name), -1,
                             -1, 0);
  X509_set_issuer_name(it,
                       X509_get_subject_name(issuer == nullptr ? it : issuer));
  if (issuer == nullptr) {
    AddExtension(it, NID_basic_constraints, "critical,CA:TRUE");
  } else {
    AddExtension(it, NID_subject_alt_name, "IP:127.0.0.1");
  }
  X509_sign(it, issuer_key, EVP_sha256());
  return certificate;
}

template <typename Write>
void WriteFile(const std::string& path, Write write) {
  std::FILE* file = std::fopen(path.c_str(), "w");
  ASSERT_NE(file, nullptr) << path;
  EXPECT_EQ(write(file), 1);
  std::fclose(file);
}

}  // namespace

TestPki::TestPki() {
  const Key ca_key(EVP_EC_gen("P-256"), &EVP_PKEY_free);
  const Key own_key(EVP_EC_gen("P-256"), &EVP_PKEY_free);
  const Certificate authority =
      Make("test authority", ca_key.get(), nullptr, ca_key.get());
  const Certificate own =
      Make("127.0.0.1", own_key.get(), authority.get(), ca_key.get());
  WriteFile(ca(), [&](std::FILE* file) {
    return PEM_write_X509(file, authority.get());
  });
  WriteFile(certificate(),
            [&](std::FILE* file) { return PEM_write_X509(file, own.get()); });
  WriteFile(key(), [&](std::FILE* file) {
    return PEM_write_PrivateKey(file, own_key.get(), nullptr, nullptr, 0,
                                nullptr, nullptr);
  });
}

}  // namespace serai::testing
