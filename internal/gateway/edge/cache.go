package edge

import (
	"net/http"
	"strings"
)

// forbidCaching makes sure that what is not for everybody is kept by nobody,
// whatever the service said to browsers, proxies or content networks.
func forbidCaching(h http.Header) {
	for key := range h {
		if strings.HasSuffix(key, "Cdn-Cache-Control") || key == "X-Accel-Expires" || key == "Edge-Control" || key == "Expires" || key == "Pragma" || key == "Age" {
			delete(h, key)
		}
	}
	h["Cache-Control"] = []string{"private, no-store"}
	h["Cdn-Cache-Control"] = []string{"no-store"}
	h["Surrogate-Control"] = []string{"no-store"}
}

// sharedCacheable reports whether a service allows shared caches to keep an
// answer. A cookie in it would reach people it was not made for. What says
// nothing about caching, as most pages do, counts as not to be kept.
func sharedCacheable(h http.Header) bool {
	for key := range h {
		if key == "Surrogate-Control" || strings.HasSuffix(key, "Cdn-Cache-Control") {
			return true
		}
	}
	_, err := http.ParseTime(h.Get("Expires"))
	shared := err == nil
	for _, line := range h["Cache-Control"] {
		for directive := range strings.SplitSeq(strings.ToLower(line), ",") {
			switch name, value, _ := strings.Cut(strings.TrimSpace(directive), "="); name {
			case "private", "no-store", "no-cache":
				return false
			case "public":
				shared = true
			case "max-age", "s-maxage":
				shared = shared || strings.Trim(value, "\"") != "0"
			}
		}
	}
	return shared
}
