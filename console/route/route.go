// Package route is the form of the console's table of routes: what each answers,
// and who may ask for it. The table is data, so that the guard, the OpenAPI
// description and the tests of who may do what read the same.
//
//	func Routes(p Parts) []route.Route {
//		return []route.Route{
//			{Method: "GET", Pattern: "/held", May: people.HeldRead, Handler: p.list},
//			{Method: "POST", Pattern: "/api/v1/vault/{id}/release", May: people.HeldDecide, Fresh: true, Handler: p.release,
//				Doc: route.Doc{Summary: "Release an object from the vault", Request: VaultRequest{}, Response: custody.Decision{}}},
//		}
//	}
package route

import (
	"net/http"
	"strings"

	"cordon/people"
)

// Route is one thing that can be asked of the console.
type Route struct {
	Method  string // of HTTP
	Pattern string // of http.ServeMux, without the method
	May     people.Permission
	Handler http.HandlerFunc

	Fresh    bool // a decision: whoever asks signed in, or said again who they are, in the last minutes
	Asserted bool // at the control socket the name that is given does, also once people have accounts

	Doc Doc // of the routes of the API
}

// API reports whether a route is of the JSON interface, which is the same on the
// console's address and at the control socket. The others are pages.
func (r Route) API() bool { return strings.HasPrefix(r.Pattern, "/api/") }

// Doc describes a route of the API.
type Doc struct {
	Summary  string  // a sentence without a full stop
	Query    []Param // of the URL
	Request  any     // a zero value of the body's type; nil: no body
	Form     any     // instead: of the first part of multipart/form-data, "object", which "file" follows
	Response any     // a zero value of the answer's type; nil: none
	Lines    bool    // the answer is any number of Response, one a line (application/x-ndjson)
	Media    string  // of an answer that is not JSON
	Example  any     // of a request
}

// Param is a parameter of the query.
type Param struct {
	Name, Summary string
	Example       string
}
