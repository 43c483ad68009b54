package glob

// Split splits globs at their commas, but not at those in {a,b} or after a backslash.
func Split(given []string) []string {
	var list []string

	for _, g := range given {
		begin, depth := 0, 0 // of the glob, and of the braces
		for i := 0; i < len(g); i++ {
			switch g[i] {
			case '\\':
				i++
			case '{':
				depth++
			case '}':
				depth--
			case ',':
				if depth <= 0 {
					list = append(list, g[begin:i])
					begin = i + 1
				}
			}
		}
		list = append(list, g[begin:])
	}
	return list
}
