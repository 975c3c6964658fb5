// Package harness is what the browser's tests begin with: a real greenroom with
// its fleet, and a real Chromium with a profile of its own.
//
// It owns starting and ending both, and the faults that fail any test, whatever
// it looks for: a violation of a page's Content-Security-Policy, an exception
// that nobody caught, and what the browser or a page calls an error on the
// console. What a page has to show is the tests' to say. It is built with the
// tag e2e alone, since it needs a browser. GREENROOM_SLOW=20 gives the pages a
// twentieth of the processor, which finds what a test does before a page is
// ready for it.
//
// Start at Start and Open.
package harness
