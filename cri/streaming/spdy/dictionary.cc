// SPDX-License-Identifier: Apache-2.0
#include "cri/streaming/spdy/dictionary.h"

#include "absl/strings/string_view.h"
#include "cri/streaming/spdy/bytes.h"

namespace serai::cri::spdy {
namespace {

// Each is in the dictionary with its length before it, as headers have it.
constexpr absl::string_view kWords[] = {
    "options",
    "head",
    "post",
    "put",
    "delete",
    "trace",
    "accept",
    "accept-charset",
    "accept-encoding",
    "accept-language",
    "accept-ranges",
    "age",
    "allow",
    "authorization",
    "cache-control",
    "connection",
    "content-base",
    "content-encoding",
    "content-language",
    "content-length",
    "content-location",
    "content-md5",
    "content-range",
    "content-type",
    "date",
    "etag",
    "expect",
    "expires",
    "from",
    "host",
    "if-match",
    "if-modified-since",
    "if-none-match",
    "if-range",
    "if-unmodified-since",
    "last-modified",
    "location",
    "max-forwards",
    "pragma",
    "proxy-authenticate",
    "proxy-authorization",
    "range",
    "referer",
    "retry-after",
    "server",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "user-agent",
    "vary",
    "via",
    "warning",
    "www-authenticate",
    "method",
    "get",
    "status",
    "200 OK",
    "version",
    "HTTP/1.1",
    "url",
    "public",
    "set-cookie",
    "keep-alive",
    "origin",
};

// What follows them, as it is.
constexpr absl::string_view kTexts[] = {
    "100101201202205206300302303304305306307402405406407408409410411412413414",
    "415416417502504505",
    "203 Non-Authoritative Information",
    "204 No Content",
    "301 Moved Permanently",
    "400 Bad Request",
    "401 Unauthorized",
    "403 Forbidden",
    "404 Not Found",
    "500 Internal Server Error",
    "501 Not Implemented",
    "503 Service Unavailable",
    "Jan Feb Mar Apr May Jun Jul Aug Sept Oct Nov Dec 00:00:00 ",
    "Mon, Tue, Wed, Thu, Fri, Sat, Sun, GMT",
    "chunked,text/html,image/png,image/jpg,image/gif,",
    "application/xml,application/xhtml+xml,text/plain,text/javascript,",
    "publicprivatemax-age=gzip,deflate,sdchcharset=utf-8",
    "charset=iso-8859-1,utf-,*,enq=0.",
};

}  // namespace

const std::string& Dictionary() {
  static const std::string* const dictionary = [] {
    auto* text = new std::string;
    for (const absl::string_view word : kWords) {
      Append32(*text, static_cast<uint32_t>(word.size()));
      text->append(word.data(), word.size());
    }
    for (const absl::string_view part : kTexts) {
      text->append(part.data(), part.size());
    }
    return text;
  }();
  return *dictionary;
}

}  // namespace serai::cri::spdy
