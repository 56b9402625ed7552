package device

import (
	"net/http"
	"net/url"
	"slices"
	"strings"

	"cordon/asset"
	"cordon/console/route"
)

// Spelled has the routes of one device, whosever they are, take any spelling that the
// register knows it by: a page is led to under the name of the register, and anything
// else is done under that name. What the register does not know, or whoever asks may
// not see, is left to the route as it is.
func Spelled(devices *asset.Register, routes []route.Route) []route.Route {
	p := Parts{Devices: devices}
	out := slices.Clone(routes)
	for i, r := range out {
		if strings.Contains(r.Pattern, "/devices/{name}") {
			out[i].Handler = p.spelled(r)
		}
	}
	return out
}

func (p Parts) spelled(of route.Route) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		asked := r.PathValue("name")
		name, err := p.Devices.Name(r.Context(), asked)
		if err != nil || name == asked || p.seen(r.Context(), name) != nil {
			of.Handler(w, r)
			return
		}
		if of.Method == http.MethodGet && !of.API() {
			to := url.URL{Path: strings.Replace(of.Pattern, "{name}", name, 1), RawQuery: r.URL.RawQuery}
			http.Redirect(w, r, to.String(), http.StatusFound)
			return
		}
		r.SetPathValue("name", name)
		of.Handler(w, r)
	}
}
