package edge

import (
	"net/http"
	"strings"
)

// forbidCaching makes sure that what is not for everybody is kept by nobody,
// whatever the service said to browsers, proxies or content networks.
func forbidCaching(h http.Header) {
	for key := range h {
		if strings.HasSuffix(key, "-Cdn-Cache-Control") || key == "X-Accel-Expires" || key == "Edge-Control" || key == "Expires" || key == "Pragma" || key == "Age" {
			delete(h, key)
		}
	}
	h["Cache-Control"] = []string{"private, no-store"}
	h["Cdn-Cache-Control"] = []string{"no-store"}
	h["Surrogate-Control"] = []string{"no-store"}
}

// sharedCacheable reports whether a service allows shared caches to keep an
// answer. A cookie in it would reach people it was not made for.
func sharedCacheable(h http.Header) bool {
	for _, line := range h["Cache-Control"] {
		line = strings.ToLower(line)
		if strings.Contains(line, "public") || strings.Contains(line, "s-maxage") {
			return true
		}
	}
	return false
}
