import CBuild
import COuroboros

/// What was built, for those who have to tell it from another build.
package enum Build {
    package static let version = OURO_LIBRARY_VERSION
    package static let commit = String(cString: ouro_build_commit())
    package static let description = "\(version) (commit \(commit))"
}
