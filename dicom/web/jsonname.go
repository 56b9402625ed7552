package web

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"
)

// nameGroups are the component groups of a person name, in their order (PS3.18 §F.2.4).
var nameGroups = [...]string{"Alphabetic", "Ideographic", "Phonetic"}

// names reads the rest of an array of person names. Some senders write a plain string.
func (x *jsonReader) names(e *Element) error {
	var values []string
	for {
		t, err := x.json.Token()
		switch {
		case err != nil:
			return err
		case t == json.Delim(']'):
			return e.setTexts(values)
		case t == nil:
			values = append(values, "")
			continue
		case t == json.Delim('{'):
			s, err := x.personName()
			if err != nil {
				return err
			}
			values = append(values, s)
			continue
		}
		s, ok := t.(string)
		if !ok {
			return errors.New("a person name that is no object")
		}
		values = append(values, s)
	}
}

func (x *jsonReader) personName() (string, error) {
	var groups [len(nameGroups)]string
	for {
		name, end, err := x.name()
		if err != nil {
			return "", err
		}
		if end {
			return strings.TrimRight(strings.Join(groups[:], "="), "="), nil
		}
		i := slices.Index(nameGroups[:], name)
		if i < 0 || groups[i] != "" {
			return "", errors.New("a component group of a person name that is unknown or comes twice")
		}
		if groups[i], err = x.text(); err != nil {
			return "", err
		}
		if strings.ContainsAny(groups[i], `=\`) {
			return "", errors.New("a delimiter in a component group of a person name")
		}
	}
}
