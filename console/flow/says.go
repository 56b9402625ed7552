package flow

import (
	"regexp"

	"cordon/people"
)

// saying is a sentence of the status, with the page where something can be done about
// it in the place of the command.
type saying struct {
	Text string
	Path string // "": there is no page
	Word string // of the link
	May  people.Permission
}

// command is what a sentence says that people may type.
var command = regexp.MustCompile(` ?\(cordon ([a-z]+) [^)]*\)`)

// pageOf is the page that does what a command does.
var pageOf = map[string]struct {
	path, word string
	may        people.Permission
}{
	"device":     {"/devices", "nav.devices", people.DeviceRead},
	"vault":      {"/held", "nav.held", people.HeldRead},
	"recall":     {"/engines", "nav.engines", people.EngineRead},
	"review":     {"/reviews", "nav.reviews", people.LedgerRead},
	"commitment": {"/alarms", "nav.alarms", people.AlarmRead},
	"step":       {"/alarms", "nav.alarms", people.AlarmRead},
}

// sayings are the answer, and what else there is to say.
func (s *pages) sayings(all []string) (answer string, more []saying) {
	for i, text := range all {
		if i == 0 {
			answer = text
			continue
		}
		v := saying{Text: text}
		if m := command.FindStringSubmatch(text); m != nil {
			if page, ok := pageOf[m[1]]; ok {
				v = saying{command.ReplaceAllString(text, ""), page.path, s.View.Text(page.word), page.may}
			}
		}
		more = append(more, v)
	}
	return answer, more
}
