package system

import "testing"

// path4 is a fleet of four services in a row, web → api → gift → wallet. A
// release of most tests changes the first, the third and the fourth.
const path4 = `apiVersion: greenroom.dev/v1alpha1
kind: Fleet
metadata: {name: live}
spec:
  quiet: 1s
  edge: {listen: "EDGE", routes: [{service: web}]}
  services:
  - {name: web, version: v1, drain: 3s, run: {command: [SERVICE], env: {NAME: web, VERSION: v1, NEXT: api}}}
  - {name: api, version: v1, drain: 3s, run: {command: [SERVICE], env: {NAME: api, VERSION: v1, NEXT: gift}}}
  - {name: gift, version: v1, drain: 3s, run: {command: [SERVICE], env: {NAME: gift, VERSION: v1, NEXT: wallet}}}
  - {name: wallet, version: v1, drain: 3s, run: {command: [SERVICE], env: {NAME: wallet, VERSION: v1}}}
`

// three is the body of a release that brings version v of web, gift and wallet.
func three(v string) string {
	return `  services:
  - {name: web, version: ` + v + `, run: {env: {VERSION: ` + v + `}}}
  - {name: gift, version: ` + v + `, run: {env: {VERSION: ` + v + `}}}
  - {name: wallet, version: ` + v + `, run: {env: {VERSION: ` + v + `}}}
`
}

// whole is what a request of the view that brings v meets.
func whole(v string) string { return "web=" + v + " api=v1 gift=" + v + " wallet=" + v }

func TestStory(t *testing.T) {
	t.Parallel()
	s := newSystem(t, path4).start()
	s.answers(whole("v1"))
	s.open("r1", three("v2"))
	s.answers(whole("v1"))
	s.must("promote", "r1", "--yes")
	s.answers(whole("v2"))
	s.must("promote", "r1", "--yes") // it is so already
	s.must("rollback", "--yes", "--reason", "does not look right")
	s.answers(whole("v1"))
	s.must("promote", "r1", "--yes")
	s.must("release", "settle", "r1", "--yes")
	s.answers(whole("v2"))
	s.must("down", "--yes")
	s.gone()
}
