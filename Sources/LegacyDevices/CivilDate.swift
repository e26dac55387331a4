/// A date of the Gregorian calendar in UTC, from 1970.
struct CivilDate: Sendable, Equatable {
    var year: UInt64 = 1970
    var month: UInt64 = 1
    var day: UInt64 = 1
    var hour: UInt64 = 0
    var minute: UInt64 = 0
    var second: UInt64 = 0

    init() {}

    init(secondsSince1970 seconds: UInt64) {
        let days = seconds / 86_400
        let rest = seconds % 86_400
        hour = rest / 3600
        minute = rest / 60 % 60
        second = rest % 60
        // Years that begin in March, in eras of 400 years.
        let shifted = days &+ 719_468
        let era = shifted / 146_097
        let dayOfEra = shifted % 146_097
        let yearOfEra =
            (dayOfEra - dayOfEra / 1460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let part = (5 * dayOfYear + 2) / 153
        day = dayOfYear - (153 * part + 2) / 5 + 1
        month = part < 10 ? part + 3 : part - 9
        year = yearOfEra + era * 400 + (month <= 2 ? 1 : 0)
    }

    /// 1 Sunday to 7 Saturday.
    var weekday: UInt64 { (secondsSince1970 / 86_400 + 4) % 7 + 1 }

    /// Fields beyond their range are brought into it, as a guest may write anything.
    var secondsSince1970: UInt64 {
        let month = min(max(month, 1), 12)
        let year = min(max(year, 1970), 9999)
        let shifted = month <= 2 ? year - 1 : year
        let era = shifted / 400
        let yearOfEra = shifted % 400
        let part = month > 2 ? month - 3 : month + 9
        let dayOfYear = (153 * part + 2) / 5 + min(max(day, 1), 31) - 1
        let dayOfEra = yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear
        let days = era * 146_097 + dayOfEra - 719_468
        return days * 86_400 + min(hour, 23) * 3600 + min(minute, 59) * 60 + min(second, 59)
    }
}
