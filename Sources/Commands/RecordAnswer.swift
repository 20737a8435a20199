package import Catalog
import DeltaLog
import Foundation
package import Replica
import Schema
import Store

/// A record in the answers of commands.
package struct RecordAnswer: Codable, Sendable {
    /// The record's id, 64 hexadecimal digits.
    package let id: String
    package let kind: String?
    /// The owner's name.
    package let owner: String
    package let ownerId: String
    package let localId: String?
    /// The record's name.
    package let name: String
    package let deleted: Bool
    /// By path, a value or a list of elements.
    package let fields: NamedValues
    /// The number of fields left out here, since the record has more live values than an answer shows.
    package let furtherFields: Int
    /// Paths of registers whose different values wait to be settled.
    package let conflicts: [String]
    /// The time of the latest visible value, by its author's clock; ISO 8601.
    package let updated: String?

    package init(_ view: RecordView, replica: Replica) {
        id = view.id.hex
        kind = view.identity?.kind
        owner = replica.name(of: view.owner)
        ownerId = view.owner.hex
        localId = view.identity?.localID
        name = view.displayName()
        deleted = view.isDeleted
        fields = NamedValues(
            (view.isDeleted ? [] : view.fields).compactMap { field in
                guard field.isSet else { return field.winner.map { (field.path.text, JSONValue($0)) } }
                return (field.path.text, .array(field.elements.map(JSONValue.init)))
            }
        )
        furtherFields = view.furtherFieldCount
        conflicts = view.conflicts.map(\.path.text) + (view.isEditedWhileDeleted ? ["deleted"] : [])
        updated = view.allCandidates.map(\.stamp).max().map { TimeText.iso(milliseconds: $0.milliseconds) }
    }
}
