package gateway

import (
	"net/http"

	"google.golang.org/grpc/codes"
)

// Code names an error of greenroom's own. It stands in ErrorHeader and in the
// problem's type; docs/errors.md says what to do about each.
type Code string

// The codes.
const (
	CodeStarting       Code = "starting"
	CodeNoRoute        Code = "no-route"
	CodeNoService      Code = "no-service"
	CodeNoInstance     Code = "no-instance"
	CodeRefused        Code = "refused"
	CodeTimeout        Code = "timeout"
	CodeBadAnswer      Code = "bad-answer"
	CodeBodyStalled    Code = "body-stalled"
	CodeMalformed      Code = "malformed-body"
	CodeCallNotAllowed Code = "call-not-allowed"
	CodeMethodRefused  Code = "method-refused"
	CodeUpgradeRefused Code = "upgrade-refused"
	CodeTooManyFields  Code = "too-many-fields"
	CodeHostRefused    Code = "host-refused"
	CodePathRefused    Code = "path-refused"
	CodePassExpired    Code = "pass-expired"
	CodePassForged     Code = "pass-forged"
	CodePassRevoked    Code = "pass-revoked"
	CodePassUnknown    Code = "pass-unknown-release"
	CodePassDenied     Code = "pass-denied"
	CodePassMissing    Code = "pass-missing"
	CodeCrossSite      Code = "cross-site"
	CodeNoPage         Code = "no-page"
	CodeNoCallback     Code = "no-callback"
	CodePageMethod     Code = "page-method"
	CodeOnHold         Code = "on-hold"
	CodeHoldFull       Code = "hold-full"
	CodeInternal       Code = "internal"
)

// What only the access log says, since nobody is there to read an answer.
const (
	CodeClientGone Code = "client-gone"
	codeBroken     Code = "broken"
)

// Codes returns all codes that an answer can carry.
func Codes() []Code {
	return []Code{
		CodeStarting, CodeNoRoute, CodeNoService, CodeNoInstance, CodeRefused, CodeTimeout, CodeBadAnswer,
		CodeBodyStalled, CodeMalformed, CodeCallNotAllowed, CodeMethodRefused, CodeUpgradeRefused, CodeTooManyFields,
		CodeHostRefused, CodePathRefused, CodePassExpired, CodePassForged, CodePassRevoked, CodePassUnknown,
		CodePassDenied, CodePassMissing, CodeCrossSite, CodeNoPage, CodeNoCallback, CodePageMethod, CodeOnHold, CodeHoldFull,
		CodeInternal,
	}
}

// kind is what the answers of one code have in common.
type kind struct {
	status int
	grpc   codes.Code
	title  string
}

func (c Code) kind() kind {
	switch c {
	case CodeStarting:
		return kind{http.StatusServiceUnavailable, codes.Unavailable, "The fleet is starting"}
	case CodeNoRoute:
		return kind{http.StatusNotFound, codes.Unimplemented, "No route matches"}
	case CodeNoService:
		return kind{http.StatusNotFound, codes.Unimplemented, "The service is not part of this release's view"}
	case CodeNoInstance:
		return kind{http.StatusServiceUnavailable, codes.Unavailable, "No instance is ready"}
	case CodeRefused:
		return kind{http.StatusBadGateway, codes.Unavailable, "No instance takes connections"}
	case CodeTimeout:
		return kind{http.StatusGatewayTimeout, codes.DeadlineExceeded, "The service did not answer in time"}
	case CodeBadAnswer:
		return kind{http.StatusBadGateway, codes.Internal, "The service gave no valid answer"}
	case CodeBodyStalled:
		return kind{http.StatusRequestTimeout, codes.DeadlineExceeded, "The request's body stopped coming"}
	case CodeMalformed:
		return kind{http.StatusBadRequest, codes.InvalidArgument, "The request's body is malformed"}
	case CodeCallNotAllowed:
		return kind{http.StatusForbidden, codes.PermissionDenied, "The call is not allowed"}
	case CodeMethodRefused:
		return kind{http.StatusMethodNotAllowed, codes.Unimplemented, "The method is not served here"}
	case CodeUpgradeRefused:
		return kind{http.StatusBadRequest, codes.InvalidArgument, "The upgrade is refused"}
	case CodeTooManyFields:
		return kind{http.StatusRequestHeaderFieldsTooLarge, codes.ResourceExhausted, "Too many header fields"}
	case CodeHostRefused:
		return kind{http.StatusBadRequest, codes.InvalidArgument, "The host is refused"}
	case CodePathRefused:
		return kind{http.StatusBadRequest, codes.InvalidArgument, "The path is refused"}
	case CodePassExpired:
		return kind{http.StatusForbidden, codes.PermissionDenied, "The pass has expired"}
	case CodePassForged:
		return kind{http.StatusForbidden, codes.PermissionDenied, "The pass is not one of this greenroom"}
	case CodePassRevoked:
		return kind{http.StatusForbidden, codes.PermissionDenied, "The pass was revoked"}
	case CodePassUnknown:
		return kind{http.StatusForbidden, codes.PermissionDenied, "The pass's release does not exist any more"}
	case CodePassDenied:
		return kind{http.StatusForbidden, codes.PermissionDenied, "The pass's release cannot be looked at"}
	case CodePassMissing:
		return kind{http.StatusBadRequest, codes.InvalidArgument, "No pass was sent"}
	case CodeCrossSite:
		return kind{http.StatusForbidden, codes.PermissionDenied, "The request came from another site"}
	case CodeNoPage:
		return kind{http.StatusNotFound, codes.Unimplemented, "Greenroom has no such page"}
	case CodeNoCallback:
		return kind{http.StatusNotFound, codes.Unimplemented, "Nothing is called at this address"}
	case CodePageMethod:
		return kind{http.StatusMethodNotAllowed, codes.Unimplemented, "The page does not take this method"}
	case CodeOnHold:
		return kind{http.StatusServiceUnavailable, codes.Unavailable, "The fleet is on hold"}
	case CodeHoldFull:
		return kind{http.StatusServiceUnavailable, codes.Unavailable, "The fleet is on hold, and no more requests can wait"}
	}
	return kind{http.StatusInternalServerError, codes.Internal, "Greenroom failed"}
}

// Status returns the HTTP status that answers of this code have.
func (c Code) Status() int { return c.kind().status }

// Title returns what the code means, without a full stop.
func (c Code) Title() string { return c.kind().title }
