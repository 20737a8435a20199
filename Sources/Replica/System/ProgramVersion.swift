import DeltaLog

/// The program's version.
package let programVersion = "0.1.0"

/// The program and the format it speaks, as `--version` prints them.
package let programVersionText = "hansa \(programVersion) (format \(formatVersion))"
