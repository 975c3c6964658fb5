package edge

import (
	"net/http"
	"strings"

	"github.com/greenroom-dev/greenroom/internal/gateway/field"
)

// forbidCaching makes sure that what is not for everybody is kept by nobody,
// whatever the service said to browsers, proxies or content networks.
func forbidCaching(h field.Header) {
	h.DeleteAll(field.Func(keptElsewhere))
	h.Set("Cache-Control", "private, no-store")
	h.Set("Cdn-Cache-Control", "no-store")
	h.Set("Surrogate-Control", "no-store")
}

// keptElsewhere reports whether a field says to caches what Cache-Control does
// not.
func keptElsewhere(key string) bool {
	switch {
	case field.HasSuffix(key, "Cdn-Cache-Control"):
		return true
	case strings.EqualFold(key, "X-Accel-Expires"), strings.EqualFold(key, "Edge-Control"),
		strings.EqualFold(key, "Expires"), strings.EqualFold(key, "Pragma"), strings.EqualFold(key, "Age"):
		return true
	}
	return false
}

// toSharedCaches reports whether a field speaks to shared caches alone.
func toSharedCaches(key string) bool {
	return strings.EqualFold(key, "Surrogate-Control") || field.HasSuffix(key, "Cdn-Cache-Control")
}

// sharedCacheable reports whether a service allows shared caches to keep an
// answer. A cookie in it would reach people it was not made for. What says
// nothing about caching, as most pages do, counts as not to be kept.
func sharedCacheable(h field.Header) bool {
	if h.Any(field.Func(toSharedCaches)) {
		return true
	}
	_, err := http.ParseTime(field.First(h, "Expires"))
	shared := err == nil
	for _, line := range h.Values("Cache-Control") {
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
