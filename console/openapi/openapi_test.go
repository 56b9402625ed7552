package openapi

import (
	"encoding/json"
	"net/http"
	"slices"
	"testing"

	"cordon/console/route"
)

type Inner struct {
	Always string `json:"always"`
	Often  string `json:"often,omitempty"`
}

type Far struct {
	Perhaps string `json:"perhaps"`
}

type Asked struct {
	By string `json:"by"`
	Inner
	*Far
	Kept Inner `json:"kept"`
	Zero int   `json:"zero,omitzero"`
}

func (a *Asked) Asserted() *string { return &a.By }

type Other struct {
	By string `json:"by"`
}

func TestWhatIsNeverLeftOutIsRequired(t *testing.T) {
	text, err := Document("1", []route.Route{{Method: http.MethodPost, Pattern: "/api/v1/x", Doc: route.Doc{Request: Asked{}, Response: Other{}}}})
	if err != nil {
		t.Fatal(err)
	}
	var d document
	if err := json.Unmarshal(text, &d); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string][]string{
		"OpenapiAsked": {"always", "kept"}, // not the name, which whoever signed in leaves out, and not what is behind a pointer
		"OpenapiInner": {"always"},
		"OpenapiOther": {"by"},
	} {
		if got := d.Components.Schemas[name].Required; !slices.Equal(got, want) {
			t.Errorf("%s requires %q, want %q", name, got, want)
		}
	}
}
