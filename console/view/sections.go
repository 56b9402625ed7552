package view

import (
	"strings"

	"cordon/people"
)

// Section is one entry of the navigation.
type Section struct {
	Path  string
	Title string
	Here  bool // it is shown now
	Count int  // of what waits there
}

// menu is the navigation, in its order.
var menu = []struct {
	path, title string
	may         people.Permission
}{
	{"/", "nav.flow", people.FlowRead},
	{"/held", "nav.held", people.HeldRead},
	{"/studies", "nav.studies", people.StudySearch},
	{"/devices", "nav.devices", people.DeviceRead},
	{"/map", "nav.map", people.FlowRead},
	{"/alarms", "nav.alarms", people.AlarmRead},
	{"/network", "nav.network", people.NetworkRead},
	{"/incidents", "nav.incidents", people.NetworkRead},
	{"/ledger", "nav.ledger", people.LedgerRead},
	{"/reviews", "nav.reviews", people.LedgerRead},
	{"/engines", "nav.engines", people.EngineRead},
	{"/report", "nav.report", people.ReportRead},
	{"/settings", "nav.settings", people.SettingsRead},
	{"/people", "nav.people", people.PeopleRead},
}

// Paths are the pages of the navigation, for tests that walk them.
func Paths() []string {
	var out []string
	for _, m := range menu {
		out = append(out, m.path)
	}
	return out
}

// Home is the first page of the navigation that somebody may see; everybody who is
// signed in may see their own.
func Home(id people.Identity) string {
	for _, m := range menu {
		if id.May(m.may) {
			return m.path
		}
	}
	return "/me"
}

// sections are those that somebody may see.
func (v *View) sections(id people.Identity, at string, counts map[string]int) []Section {
	var out []Section
	for _, m := range menu {
		if !id.May(m.may) && !(m.path == "/" && id.Name == "") {
			continue
		}
		here := at == m.path || m.path != "/" && strings.HasPrefix(at, m.path+"/")
		out = append(out, Section{m.path, v.words.text(m.title), here, counts[m.path]})
	}
	return out
}
