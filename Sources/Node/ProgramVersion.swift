import DeltaLog

/// The program and the format it speaks, as `--version` prints them.
package let programVersionText = "hansa \(programVersion) (format \(formatVersion))"
