package letter

// annotationDescription is the annotation that says more than the summary, in lines.
const annotationDescription = "description"

const (
	// maxSubject bounds the subject that a template writes, in characters.
	maxSubject = 200
	// maxField is the longest value in a table and in a header, in characters; RFC 5322
	// ends a line at 998 bytes.
	maxField = 200
	// maxMistake bounds what is said of a template that fails.
	maxMistake = 500
	// maxReason is the longest reason in a line of a table.
	maxReason = 120
	// maxParagraph and maxParagraphLine bound the annotation description.
	maxParagraph     = 20
	maxParagraphLine = 500
	// maxLogs is how much of all logs together goes into a mail, in bytes, maxLog how much
	// of one log. By default the bridge sends 4 KiB of each.
	maxLogs = 64 << 10
	maxLog  = maxLogs / 2
	// maxLogAlerts is how many alerts of a digest show their logs, maxDigestLog
	// how much of each log.
	maxLogAlerts = 5
	maxDigestLog = 4 << 10
)
