package gateway

import (
	"net/http"
	"strconv"

	"google.golang.org/grpc/codes"
)

// grpcStatus reads the status of a gRPC answer that was written: from the
// trailers, or from the header of an answer of trailers only. An answer without
// one, or with one that is no number, counts as Unknown, as it does for the
// client.
func grpcStatus(h http.Header) codes.Code {
	value := h.Get(http.TrailerPrefix + "Grpc-Status")
	if value == "" {
		value = h.Get("Grpc-Status")
	}
	n, err := strconv.ParseUint(value, 10, 32)
	if err != nil {
		return codes.Unknown
	}
	return codes.Code(n)
}

// statusOfGRPC is the HTTP status that a gRPC status corresponds to, so that
// metrics and logs speak of both alike: google.rpc.Code has the list.
func statusOfGRPC(c codes.Code) int {
	switch c {
	case codes.OK:
		return http.StatusOK
	case codes.Canceled:
		return StatusClientGone
	case codes.InvalidArgument, codes.FailedPrecondition, codes.OutOfRange:
		return http.StatusBadRequest
	case codes.Unauthenticated:
		return http.StatusUnauthorized
	case codes.PermissionDenied:
		return http.StatusForbidden
	case codes.NotFound:
		return http.StatusNotFound
	case codes.AlreadyExists, codes.Aborted:
		return http.StatusConflict
	case codes.ResourceExhausted:
		return http.StatusTooManyRequests
	case codes.Unimplemented:
		return http.StatusNotImplemented
	case codes.Unavailable:
		return http.StatusServiceUnavailable
	case codes.DeadlineExceeded:
		return http.StatusGatewayTimeout
	}
	return http.StatusInternalServerError
}
