// Package browser plays stories in a real Chromium, in front of a real
// greenroom: what people see who hold a pass, and who use the dashboard. It is
// built with the tag e2e alone, and runs with
//
//	go test -tags e2e ./test/browser/...
//
// which needs Chromium (on Debian: apt-get install chromium). GREENROOM_SHOTS
// names a folder that gets pictures of every page.
package browser
