package import KluereBase
package import KluereCompute
internal import KluereData
internal import KluereFormats
internal import KluereModel
package import KluereTraining

extension Pipeline {
  /// Opens a folder with a pipeline.json and the folders of its members.
  package static func open(
    context: Context, directory: String, predictor: PredictorOptions = PredictorOptions()
  ) throws(KluereError) -> Pipeline {
    try AtomicDirectory.recover(directory)
    let path = directory + "/" + PipelineFile.name
    let file = try PipelineFile(try Files.readAll(path), path: path)
    var members: [PipelineMember] = []
    for member in file.members {
      let model = try Model.open(
        context: context, directory: directory + "/" + member.folder, options: ModelOpenOptions())
      members.append(
        PipelineMember(
          model, member.role, subjectType: member.subjectType, objectType: member.objectType, folder: member.folder))
    }
    do throws(KluereError) {
      return try Pipeline(members, options: file.options, predictor: predictor)
    } catch {
      // What the file says cannot be; what the device lacks is no fault of the file's.
      throw error.status == .invalidArgument ? KluereError(.badFormat, "\(path): \(error.message)") : error
    }
  }

  /// Writes the folder, members included, beside its place and swaps it in.
  package func save(_ directory: String, libraryVersion: String) throws(KluereError) {
    let target = try AtomicDirectory(directory, replacing: [PipelineFile.name], foldersOf: Model.fileNames)
    do throws(KluereError) {
      var options = PipelineOptions()
      options.kind = plan.kind
      options.labels = labels.names
      if plan.kind == .cascade {
        options.rule = plan.rule
        if plan.rule == .threshold { options.threshold = plan.threshold }
      }
      if plan.kind == .mean { options.vote = plan.vote }
      var listed: [PipelineFile.Member] = []
      for (place, member) in members.enumerated() {
        let folder = "\(member.role.name)-\(place)"
        try member.model.save(target.folder(folder), libraryVersion: libraryVersion)
        listed.append(
          PipelineFile.Member(
            folder: folder, role: member.role, subjectType: member.subjectType, objectType: member.objectType))
      }
      let file = PipelineFile(options: options, members: listed)
      try target.add(PipelineFile.name, file.encoded(libraryVersion: libraryVersion))
      try target.commit()
    } catch {
      target.abort()
      throw error
    }
  }
}
